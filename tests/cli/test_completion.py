"""`tracer completion`: shells accept the scripts, and completing gives commands and options."""

import os
import shutil
import subprocess

import pytest

from cli.conftest import Run, Spawn


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_printed(shell: str, run: Run) -> None:
    script = run("completion", shell).stdout
    assert "_TRACER_COMPLETE" in script
    path = shutil.which(shell)
    if path is not None:
        subprocess.run([path, "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize(
    ("words", "offered"), [("tracer o", "offline"), ("tracer offline --icm", "--icmp-id")]
)
def test_words_are_completed(words: str, offered: str, spawn: Spawn) -> None:
    variables = {
        "_TRACER_COMPLETE": "bash_complete", "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }  # fmt: skip
    done = spawn(env={**os.environ, **variables})
    assert f"plain,{offered}" in done.stdout.splitlines()
