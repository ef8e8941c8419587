"""What the recorded captures are shown as: a change of any of these is to be looked at."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cli.conftest import Run

CASES = {
    "fip-outbound-ping": ("fip-outbound", "--proto", "icmp", "--count", "2"),
    "fip-inbound-tcp": ("fip-inbound", "--proto", "tcp", "--count", "2"),
    "snat-centralized-udp": ("snat-centralized", "--proto", "udp", "--count", "1"),
    "walkthrough": ("walkthrough",),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("format_", ["text", "jsonl"])
def test_golden_output(
    name: str, format_: str, captures: Path, run: Run, golden: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(captures)
    result = run("offline", *CASES[name], "--format", format_)
    assert result.exit_code == 0
    golden(f"{name}.{'txt' if format_ == 'text' else format_}", result.stdout)
    if format_ == "text":
        golden(f"{name}.stderr.txt", without_notice(result.stderr))


def without_notice(stderr: str) -> str:
    """Leave out what is said only when code has to be compiled first."""
    lines = stderr.splitlines(keepends=True)
    return "".join(line for line in lines if "compiling for this machine" not in line)
