"""Forms of a flow: what it is named on one side of a translation."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tracer.core.journeys import FlowPathJoin
from tracer.correlate.flow_paths.periods import (
    continues,
)
from tracer.correlate.flow_paths.sightings import FlowKey, Sighting


@dataclass(frozen=True, eq=False)
class Form:
    """A five-tuple with the captures that show one run of it."""

    key: FlowKey
    sightings: tuple[Sighting, ...]

    @property
    def places(self) -> set[tuple[int, int]]:
        """The captures and points it was seen in."""
        return {(sighting.capture, sighting.point) for sighting in self.sightings}


@dataclass(frozen=True, eq=False)
class JoinedForms:
    """The forms of one flow, why they are one, and what it might also have been."""

    forms: tuple[Form, ...]
    joins: tuple[FlowPathJoin, ...] = ()
    ambiguities: tuple[str, ...] = field(default=())

    @property
    def sightings(self) -> list[Sighting]:
        """All captures of the flow."""
        return [sighting for form in self.forms for sighting in form.sightings]


def forms_of(sightings: Iterable[Sighting]) -> list[Form]:
    """Return the sightings by five-tuple; runs that number and time tell apart are two forms."""
    by_key: dict[FlowKey, list[list[Sighting]]] = {}
    for sighting in sightings:
        runs = by_key.setdefault(sighting.key, [])
        fitting = [run for run in runs if any(continues(sighting, other) for other in run)]
        for run in fitting:
            runs.remove(run)
        runs.append([sighting, *(other for run in fitting for other in run)])
    return [Form(key, tuple(run)) for key, runs in by_key.items() for run in runs]
