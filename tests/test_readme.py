"""What the README shows is what the commands print."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "readme"


def readme(*arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "TRACER_VENV": str(Path(sys.executable).parent.parent)}
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments], text=True, capture_output=True, check=False, env=env
    )


def test_the_commands_of_the_readme_print_what_it_shows() -> None:
    assert (ROOT / "README.md").read_text().count("<!-- run: ") >= 3
    done = readme("--check")
    assert done.returncode == 0, done.stdout


def test_a_stale_block_is_found(tmp_path: Path) -> None:
    document = tmp_path / "stale.md"
    empty = "<!-- run: echo first -->\n```console\n```\n"
    document.write_text(f"{empty}<!-- run: echo now -->\n```console\n$ echo now\nthen\n```\n")
    assert readme("--check", str(document)).returncode == 1
    assert readme(str(document)).returncode == 0
    assert document.read_text() == (
        "<!-- run: echo first -->\n```console\n$ echo first\nfirst\n```\n"
        "<!-- run: echo now -->\n```console\n$ echo now\nnow\n```\n"
    )
    assert readme("--check", str(document)).returncode == 0


def test_the_readme_links_to_files_that_exist() -> None:
    import re

    targets = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / "README.md").read_text())
    assert targets
    for target in targets:
        assert (ROOT / target).exists(), target
