"""The pictures in the documents are what the script makes of the captures now."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import unavailable

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
SCRIPT = ROOT / "scripts" / "screenshots"
SHOWN = re.compile(r"!\[[^\]]+\]\((?P<path>[^)]+)\)")
LARGEST = 300_000


def shown() -> set[Path]:
    documents = (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
    return {
        (document.parent / found["path"]).resolve()
        for document in documents
        for found in SHOWN.finditer(document.read_text())
    }


def test_every_picture_is_there_shown_and_small() -> None:
    kept = {path for path in IMAGES.iterdir() if path.suffix != ".json"}
    assert kept == shown()
    assert kept == {IMAGES / name for name in json.loads((IMAGES / "screenshots.json").read_text())}
    assert all(path.stat().st_size < LARGEST for path in kept)


def test_pictures_load_nothing() -> None:
    drawings = list(IMAGES.glob("*.svg"))
    assert drawings
    for path in drawings:
        assert not re.search(r"url\(\W*https?:|href=|<script|<image", path.read_text()), path


def test_pictures_show_what_is_shown_now() -> None:
    if not all(shutil.which(name) for name in ("chromium", "chromedriver")):
        unavailable("Chromium and its driver are not installed (packages chromium-driver)")
    if importlib.util.find_spec("selenium") is None:
        unavailable("selenium is not installed (extra `test`)")
    done = subprocess.run(
        [sys.executable, SCRIPT, "--check"], text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("change", ["text", "size", "absent"])
def test_a_stale_picture_is_found(change: str, tmp_path: Path) -> None:
    script = importlib.util.spec_from_loader("screenshots", None)
    assert script is not None
    module = importlib.util.module_from_spec(script)
    module.__file__ = str(SCRIPT)
    exec(compile(SCRIPT.read_text(), SCRIPT, "exec"), module.__dict__)
    for folder in ("made", "kept"):
        shutil.copytree(IMAGES, tmp_path / folder)
    index = json.loads((IMAGES / "screenshots.json").read_text())
    index["report-nat.png"] |= {"text": {"text": "0"}, "size": {"size": [9, 9]}}.get(change, {})
    (tmp_path / "made" / "screenshots.json").write_text(json.dumps(index))
    if change == "absent":
        (tmp_path / "kept" / "report-nat.png").unlink()
    (line,) = module.differences(tmp_path / "made", tmp_path / "kept")
    assert line.startswith("report-nat.png: ")
