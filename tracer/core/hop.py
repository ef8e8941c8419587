"""A hop as a value: an observation in its place in a journey."""

from dataclasses import dataclass, field

from tracer.core.observation import Observation
from tracer.core.point import Point

Value = int | str | None


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs from the hop before; `cause` as `core.enums.Cause` reads, or None.

    `before` or `after` is None where a header came or went (a VLAN tag, a tunnel).
    """

    field: str
    before: Value
    after: Value
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Join:
    """What the step from the hop before rests on; `candidates` packets could have been this hop."""

    evidence: str
    candidates: int | None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Hop:
    """An observation with its 1-based place `n`, and the step from the hop before.

    `time_ns` is after the clock's offset was applied; `observation.time_ns` is the stamp. `parent`
    is the `n` of the hop it came from, 0 for the first. The first has no delta, changes, join.
    `called` is what the point is called where it has neither device nor hook: as its capture, and
    the same in all files that one capture was written to.
    """

    n: int
    observation: Observation
    time_ns: int | None
    delta_ns: int | None = None
    parent: int = 0
    direction: str | None = None
    cause: str | None = None
    changes: tuple[Change, ...] = field(default=())
    join: Join | None = None
    called: str | None = None

    @property
    def point(self) -> Point:
        """The point, without direction."""
        seen = self.observation
        name = self.called or seen.capture
        return Point(seen.host, seen.netns, seen.device, hook=seen.hook, capture=name)
