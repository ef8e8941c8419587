"""A progress bar where a person is watching, and nothing anywhere else."""

import os

import pytest

from tracer.cli import progress
from tracer.cli.progress import Progress


def test_nothing_away_from_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_PATIENCE_S", 0)
    with Progress() as shown:
        shown.update(1, 2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("patience", "is_shown"), [(0, True), (1000, False)])
def test_a_bar_on_a_terminal_when_it_takes_long(
    patience: float, is_shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal, other = os.openpty()
    with os.fdopen(other, "w") as stderr:
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr("sys.stderr", stderr)
        monkeypatch.setattr(progress, "_PATIENCE_S", patience)
        with Progress() as shown:
            shown.update(1 << 20, 4 << 20)
            shown.update(4 << 20, 4 << 20)
        stderr.write("end")
        stderr.flush()
        written = ""
        while not written.endswith("end"):
            written += os.read(terminal, 100_000).decode()
    os.close(terminal)
    assert ("4.0" in written) is is_shown
