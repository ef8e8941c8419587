"""What the README shows of a live run is what a live run prints, but for its numbers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

pytestmark = [pytest.mark.kernel, pytest.mark.usefixtures("lab")]


def test_the_live_commands_of_the_readme_print_what_it_shows() -> None:
    assert "<!-- live: " in (ROOT / "README.md").read_text()
    env = {**os.environ, "TRACER_VENV": str(Path(sys.executable).parent.parent)}
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "readme", "--check", "--live"],
        text=True,
        capture_output=True,
        check=False,
        env=env,
    )
    assert done.returncode == 0, done.stdout
