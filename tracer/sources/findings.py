"""Damage found while one input is read, gathered by kind."""

from collections.abc import Iterable

from tracer.core.warnings import InputWarning


class Findings:
    """Collects what is wrong with one input; a kind found again adds to its count."""

    def __init__(self, capture: str | None) -> None:
        self.capture = capture
        self._found: dict[str, InputWarning] = {}

    def add(self, kind: str, message: str, offset: int | None = None, count: int = 1) -> None:
        """Count a finding; the message and offset of the first of its kind stay."""
        if count == 0:
            return
        first = self._found.get(kind)
        if first is not None:
            message, offset, count = first.message, first.offset, first.count + count
        self._found[kind] = InputWarning(kind, message, self.capture, offset, count)

    def extend(self, warnings: Iterable[InputWarning]) -> None:
        """Take over what another reader found in this input."""
        for warning in warnings:
            self.add(warning.kind, warning.message, warning.offset, warning.count)

    def __contains__(self, kind: str) -> bool:
        return kind in self._found

    def warnings(self) -> tuple[InputWarning, ...]:
        """Return one warning per kind, in the order they were first found."""
        return tuple(self._found.values())
