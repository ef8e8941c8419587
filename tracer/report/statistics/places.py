"""Places: observation points as a picture shows them, both directions of a device as one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracer.core.journeys import JourneySet
from tracer.core.point import Point
from tracer.report.roles import own_netns, role_of, short_netns


@dataclass(frozen=True, slots=True)
class Place:
    """A device or hook; `netns` is None in the host's own, uuids in `short` are cut to 8 digits."""

    host: str | None
    netns: str | None
    name: str
    role: str | None

    @property
    def short_netns(self) -> str | None:
        """The namespace with its uuid cut."""
        return short_netns(self.netns)

    @property
    def label(self) -> str:
        """Host, namespace and device with slashes, the uuid cut."""
        return "/".join(part for part in (self.host, self.short_netns, self.name) if part)


@dataclass(frozen=True, slots=True)
class Places:
    """The places of a batch's points; `of_point` (points + 1,) maps a point, -1 to -1."""

    places: tuple[Place, ...]
    of_point: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.places)


def places_of(points: Sequence[Point]) -> Places:
    """Return the places of points, in the order in which they first appear."""
    found: dict[Place, int] = {}
    codes = [found.setdefault(place_of(point), len(found)) for point in points]
    return Places(tuple(found), np.array([*codes, -1], np.int64))


def hop_places(journey_set: JourneySet, places: Places) -> NDArray[np.int64]:
    """Return the place of each hop, shape (hops,), -1 where the point is not known."""
    points = journey_set.observations.packets["point"][journey_set.hops["row"]]
    found: NDArray[np.int64] = places.of_point[points]
    return found


def place_of(point: Point) -> Place:
    """Return the place of a point."""
    return Place(point.host, own_netns(point), point.name, role_of(point))
