"""Every command is there, helps, shows examples, and costs nothing until it is used."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from cli.conftest import Run
from tracer import __version__
from tracer.cli.commands import COMMANDS, group

FOLDER = Path(__file__).parents[2] / "captures" / "fip-outbound"
HEAVY = ("numpy", "pandas", "numba", "pyarrow", "scapy", "bcc", "rich", "pyroute2")


def command_of(name: str) -> click.Command:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    return command


@pytest.mark.parametrize("name", COMMANDS)
def test_the_short_help_is_the_commands_own(name: str) -> None:
    first = (command_of(name).help or "").strip().partition("\n")[0]
    assert first == COMMANDS[name]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_examples_of_the_command(name: str, run: Run) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    examples = result.output.partition("Examples:")[2]
    assert f"tracer {name}" in examples


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help(name: str) -> None:
    for parameter in command_of(name).params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_a_terminal(name: str, run: Run) -> None:
    # Examples are kept whole, so that they can be copied.
    assert max(len(line) for line in run(name, "--help").output.splitlines()) <= 90


def test_help_lists_every_command(run: Run) -> None:
    output = run("--help").output
    assert "Examples:" in output
    for name in COMMANDS:
        assert f"\n  {name} " in output


def test_the_version_is_that_of_the_package(run: Run) -> None:
    assert run("--version").output == f"tracer {__version__}\n"


def test_unknown_commands_are_bad_usage(run: Run) -> None:
    assert run("frobnicate").exit_code == 2


def test_help_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "tracer.cli", "--help"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "click" in imported
    assert not {name for name in imported if name.partition(".")[0] in HEAVY}
    assert not {name for name in imported if name.startswith("tracer.cli.") and name.count(".") == 2
                and name.rpartition(".")[2] in COMMANDS}  # fmt: skip


def test_data_is_written_without_pandas(tmp_path: Path) -> None:
    for name in ("hops.csv", "hops.parquet", "hops.jsonl"):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "tracer.cli", "offline", str(FOLDER), "-o",
             str(tmp_path / name), "--segments", str(tmp_path / "segments.csv")],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert "pyarrow" in imported
        assert "pandas" not in imported, name
