"""Running commands: in this process for their output, in one of their own for how they end."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tracer.cli.commands import group

Run = Callable[..., Result]
Spawn = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run() -> Run:
    """Run `tracer ARGUMENTS` in this process; what a command raises is raised here."""

    def run_(*arguments: object, **options: Any) -> Result:
        words = [str(argument) for argument in arguments]
        return CliRunner().invoke(
            group, words, prog_name="tracer", catch_exceptions=False, **options
        )

    return run_


@pytest.fixture
def spawn() -> Spawn:
    """Run `tracer ARGUMENTS` as a process of its own."""

    def spawn_(*arguments: object, **options: Any) -> "subprocess.CompletedProcess[str]":
        words = [sys.executable, "-m", "tracer.cli", *(str(argument) for argument in arguments)]
        return subprocess.run(
            words, capture_output=True, text=True, timeout=120, check=False, **options
        )

    return spawn_
