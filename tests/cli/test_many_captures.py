"""Two hundred captures in one folder are read side by side, whatever the limit of open files."""

import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from scenarios.catalogue import make
from scenarios.pcap import write_pcaps

from cli.conftest import Run
from cli.test_windows import outcome
from tracer.cli import windows


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    assert len(write_pcaps(make("many_points", 3, 0.3), folder)) == 200
    return folder


@pytest.fixture
def few_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_windows_over_two_hundred_captures(
    many: Path, few_files: None, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, said = outcome(run, many, summary=tmp_path / "whole.json")
    monkeypatch.setattr(windows, "LARGE", 0)
    parts, also_said = outcome(run, many, summary=tmp_path / "parts.json")
    assert parts == whole
    assert also_said == said
    assert len({hop for journey in whole for hop in journey.split('"capture": ')[1:]}) >= 200


def test_more_captures_than_may_be_open_are_told(many: Path) -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200));"
        "from tracer.cli import windows; windows.LARGE = 0;"
        f"from tracer.cli import main; main(['offline', {str(many)!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "200 captures cannot be read side by side: 200 files may be open." in done.stderr
