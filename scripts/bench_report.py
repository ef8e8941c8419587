"""The HTML report of a large incident: time to write it, its size, and its first paint in Chromium.

Makes captures of eight points, writes the report and opens it from disk. Times of the browser are
its own (Paint Timing), the least of `--rounds`.
Exit status 1 when a target is missed.
"""

import argparse
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT))

from scenarios.bulk import bulk_points, write_bulk_pcaps  # noqa: E402

import tracer  # noqa: E402

PAINT_S, BYTES = 2.0, 15_000_000
_PAINT = "return performance.getEntriesByType('paint').map(each => [each.name, each.startTime])"
_READY = "return document.documentElement.dataset.ready === 'yes' ? performance.now() : null"
_SORT = """
const started = performance.now();
document.querySelector('#journeys th:last-child button').click();
document.body.getBoundingClientRect();
return performance.now() - started;
"""


def write(folder: Path, observations: int) -> tuple[Path, int, float]:
    """Write the report; return its path, how many journeys there were, and the seconds it took."""
    paths = write_bulk_pcaps(folder, observations)
    points = {
        f"{point.host}/{point.device}": path
        for point, path in zip(bulk_points(), paths, strict=True)
    }
    incident = tracer.read(points=points)
    journeys = len(incident.journeys)
    started = time.perf_counter()
    path = incident.report(folder / "incident.html", "A large incident")
    return path, journeys, time.perf_counter() - started


def browse(path: Path, rounds: int) -> dict[str, float]:
    """Return the browser's figures in ms, the least of the rounds."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.support.wait import WebDriverWait

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("chromium-browser") or ""
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    least: dict[str, float] = {}
    for _ in range(rounds):
        window = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            window.get(path.as_uri())
            WebDriverWait(window, 120).until(lambda window: window.execute_script(_READY))
            found = dict(window.execute_script(_PAINT))
            found["lists ready"] = window.execute_script(_READY)
            found["sort of the journeys"] = window.execute_script(_SORT)
        finally:
            window.quit()
        least = {name: min(value, least.get(name, value)) for name, value in found.items()}
    return least


def main() -> int:
    """Measure, print, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--journeys", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path, journeys, seconds = write(Path(folder), chosen.journeys * len(bulk_points()))
        size = path.stat().st_size
        found = browse(path, chosen.rounds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{journeys} journeys: written in {seconds:.1f} s, peak {peak / 1e6:.0f} MB")
    print(f"file {size / 1e6:.1f} MB (target {BYTES / 1e6:.0f})")
    for name, value in found.items():
        target = f" (target {PAINT_S * 1000:.0f})" if name == "first-contentful-paint" else ""
        print(f"{name:24} {value:6.0f} ms{target}")
    return 0 if size < BYTES and found["first-contentful-paint"] < PAINT_S * 1000 else 1


if __name__ == "__main__":
    sys.exit(main())
