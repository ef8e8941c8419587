"""What went wrong with an input without ending the work."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InputWarning:
    """One kind of damage found in one input; nothing that preceded it was lost.

    `kind` is a stable identifier (`truncated-record`, `bad-block`, `corrupt-gzip`, …), `offset` the
    byte offset of the first one in the (decompressed) file or None, `count` how many there were.
    """

    kind: str
    message: str
    capture: str | None = None
    offset: int | None = None
    count: int = 1

    def as_dict(self) -> dict[str, str | int | None]:
        """Return the warning as the summary prints it."""
        return {
            "kind": self.kind,
            "message": self.message,
            "capture": self.capture,
            "offset": self.offset,
            "count": self.count,
        }


def merge(warnings: Iterable[InputWarning]) -> list[InputWarning]:
    """Return one warning per (kind, capture), with counts added and the first offset kept."""
    merged: dict[tuple[str, str | None], InputWarning] = {}
    for warning in warnings:
        key = (warning.kind, warning.capture)
        first = merged.get(key)
        if first is None:
            merged[key] = warning
        else:
            merged[key] = InputWarning(
                first.kind, first.message, first.capture, first.offset, first.count + warning.count
            )
    return list(merged.values())
