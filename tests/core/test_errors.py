"""Errors: a sentence, and the next command."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import tracer
from tracer.core.errors import HostError, InputError, LabError, TracerError, unreadable

PACKAGE = Path(tracer.__file__).parent


def test_an_error_reads_as_sentence_and_hint() -> None:
    assert str(TracerError("It broke.", "Run `x`.")) == "It broke. Run `x`."
    assert str(TracerError("It broke.")) == "It broke."


def test_every_error_is_a_tracer_error() -> None:
    assert all(issubclass(error, TracerError) for error in (HostError, InputError, LabError))


def hintless(text: str) -> Iterator[int]:
    # The lines where an error is made of its sentence alone.
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            is_error = node.func.id in ("InputError", "HostError", "LabError", "TracerError")
            if is_error and len(node.args) + len(node.keywords) < 2:
                yield node.lineno


def test_every_error_names_the_next_command() -> None:
    assert list(hintless("x = InputError('It broke.')")) == [1]
    files = sorted(PACKAGE.rglob("*.py"))
    assert [(str(file), line) for file in files for line in hintless(file.read_text())] == []


@pytest.mark.parametrize(
    ("path", "error", "text"),
    [
        ("a b/c.pcap", FileNotFoundError(2, "No such file"), "No such file. `ls 'a b'` shows what"),
        ("c.pcap", FileNotFoundError(2, "No such file"), "No such file. `ls .` shows what"),
        (
            "/c.pcap",
            NotADirectoryError(20, "Not a directory"),
            "Not a directory. `ls /` shows what",
        ),
        ("c.pcap", PermissionError(13, "Permission denied"), "denied. Run with sudo, or copy it."),
        (
            "c.pcap",
            OSError(5, "Input/output error"),
            "Input/output error. Copy the file again, and",
        ),
        ("c\0", ValueError("embedded null byte"), "embedded null byte. Copy the file again, and"),
    ],
)
def test_what_cannot_be_read_says_what_to_do(
    path: str, error: OSError | ValueError, text: str
) -> None:
    assert str(unreadable(path, error)).startswith(f"{path} cannot be read: ")
    assert text in str(unreadable(path, error))
