"""Errors: a sentence, and the next command."""

from tracer.core.errors import HostError, InputError, LabError, TracerError


def test_an_error_reads_as_sentence_and_hint() -> None:
    assert str(TracerError("It broke.", "Run `x`.")) == "It broke. Run `x`."
    assert str(TracerError("It broke.")) == "It broke."


def test_one_tree() -> None:
    assert all(issubclass(error, TracerError) for error in (HostError, InputError, LabError))
