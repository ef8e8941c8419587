"""Points and places by code: where rows were seen, and on whose clock."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tracer.core.batch import ObservationBatch
from tracer.core.point import Point
from tracer.correlate.hashing import Codes, Keys


def point_name(point: Point) -> tuple[str, ...]:
    """Return what names a point: host, namespace, device or what stands for it, hook, direction."""
    name = point.device or point.hook or point.capture or ""
    return (point.host or "", point.netns or "", name, point.hook or "", str(int(point.direction)))


def hashes_of_names(names: Sequence[tuple[str, ...]]) -> Keys:
    """Return a hash of each name, and 0 behind them, for -1; shape (names + 1,).

    A name has the same hash in every batch.
    """
    texts = ["\0".join(name).encode("utf-8", "surrogatepass") for name in names]
    digests = [hashlib.blake2b(text, digest_size=8).digest() for text in texts]
    return np.frombuffer(b"".join([*digests, bytes(8)]), "<u8")


def _ranked(names: list[Any]) -> Codes:
    rank = {name: code for code, name in enumerate(sorted(set(names)))}
    return np.array([rank[name] for name in names] + [-1], np.int64)


def point_columns(batch: ObservationBatch) -> dict[str, Codes]:
    """Return codes by point, and -1 behind them: of `point`, `place`, `netns`, `host`, `clock`.

    Codes are in order of the names; a point without a namespace has -1.
    """
    keys = [point_name(point) for point in batch.points]
    spaces = [
        key[:2] if point.netns else ("", "") for key, point in zip(keys, batch.points, strict=True)
    ]
    netns = _ranked(spaces)
    netns[[i for i, space in enumerate(spaces) if space == ("", "")]] = -1
    return {
        "point": _ranked(keys),
        "place": _ranked([key[:3] for key in keys]),
        "netns": netns,
        "host": _ranked([key[0] for key in keys]),
        "clock": _ranked([point.clock_name for point in batch.points]),
    }


def place_names(points: Sequence[Point]) -> list[tuple[str, ...]]:
    """Return the names of places, which are points without direction, by code."""
    return sorted({point_name(point)[:3] for point in points})


def place_codes(batch: ObservationBatch, points: Sequence[Point]) -> Codes:
    """Return `Identity.place` of points, -1 for those of which the batch has no packet."""
    rank = {name: code for code, name in enumerate(place_names(batch.points))}
    return np.array([rank.get(point_name(point)[:3], -1) for point in points], np.int64)
