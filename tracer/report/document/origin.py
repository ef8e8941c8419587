"""How a report was made, for whoever has to trust it or make it again."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class InputFile:
    """One input as it was read: `size` in bytes, `sha256` in hex or None for a stream."""

    name: str
    size: int | None
    sha256: str | None
    kind: str = ""
    packets: int | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """The command, when it ran (`made_ns`, UTC epoch), what it ran on, and what it read."""

    command: str = ""
    made_ns: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    inputs: tuple[InputFile, ...] = ()
    before: tuple[InputFile, ...] = ()
    filter_words: str = ""
