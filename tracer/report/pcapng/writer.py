"""Journeys as pcapng: every hop a packet, in time order, on an interface for its point."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.journeys import JourneySet
from tracer.core.point import Direction
from tracer.core.rows import Rows
from tracer.core.values import hop_indices
from tracer.report.pcapng import blocks
from tracer.report.pcapng.comments import comments
from tracer.report.pcapng.headers import rebuilt
from tracer.report.pcapng.points import Key, interface_description, interface_name
from tracer.report.pcapng.values import Values, values_of

_AT_ONCE = 1 << 13  # packets whose comments are made together


@dataclass(frozen=True, slots=True)
class _Content:
    linktype: int
    data: bytes
    wire_len: int
    remark: str = ""


class Originals(Protocol):
    """Where the bytes of packets can be had again."""

    def packet(self, capture: str, frame: int) -> tuple[int, bytes] | None:
        """Return a packet's link type and captured bytes, None where they cannot be had."""


class PcapngWriter:
    """Writes the hops of journeys to a pcapng file, part after part.

    `originals` gives packets their bytes; those it has none for are rebuilt from what was decoded
    and say so. `written`, `rebuilt` and `left_out` count packets: the last had too little known.
    """

    def __init__(self, file: IO[bytes], originals: Originals | None = None) -> None:
        self._file, self._originals = file, originals
        self._interfaces: dict[Key, int] = {}
        self.written = self.rebuilt = self.left_out = 0
        file.write(blocks.section("tracer"))

    def write(
        self, journey_set: JourneySet, chosen: NDArray[np.integer[Any]] | None = None
    ) -> None:
        """Write the hops of the chosen journeys (all by default), in time order among themselves.

        Stamps are those of the hops: clocks applied, as the comment then says. Flags hold the
        direction where the capture told it; one that was inferred stands in the comment.
        """
        numbers = np.arange(len(journey_set.journeys)) if chosen is None else np.asarray(chosen)
        hops = hop_indices(journey_set.journeys[numbers])
        hops = hops[np.argsort(journey_set.hops["time_ns"][hops], kind="stable")]
        for start in range(0, len(hops), _AT_ONCE):
            self._file.writelines(self._packets(journey_set, hops[start : start + _AT_ONCE]))

    def _packets(self, journey_set: JourneySet, hops: Rows) -> Iterator[bytes]:
        batch, records = journey_set.observations, journey_set.hops[hops]
        texts = comments(journey_set, hops)
        keys = [point.towards(Direction.UNKNOWN) for point in batch.points]
        points = batch.packets["point"][records["row"]].tolist()
        columns = (records["time_ns"].tolist(), texts, points)
        contents = self._contents(batch, records["row"], records["direction"])
        for content, time_ns, text, place in zip(contents, *columns, strict=True):
            if content is None:
                self.left_out += 1
                continue
            point = batch.points[place]
            key = keys[place], content.linktype
            if key not in self._interfaces:
                yield self._interface(key)
            comment = text + content.remark + ("; time unknown" if time_ns < 0 else "")
            yield blocks.packet(
                self._interfaces[key], max(time_ns, 0), content.data, content.wire_len,
                point.direction, comment,
            )  # fmt: skip
            self.written += 1

    def _contents(
        self, batch: ObservationBatch, rows: Rows, directions: NDArray[np.int8]
    ) -> list[_Content | None]:
        # The packets' bytes where there are any, else what can be rebuilt.
        contents = self._original(batch, rows)
        missing = [place for place, content in enumerate(contents) if content is None]
        for place, values in zip(missing, values_of(batch, rows[missing]), strict=True):
            contents[place] = content = _rebuilt(values, int(directions[place]))
            self.rebuilt += content is not None
        return contents

    def _original(self, batch: ObservationBatch, rows: Rows) -> list[_Content | None]:
        contents: list[_Content | None] = [None] * len(rows)
        if self._originals is None:
            return contents
        packets = batch.packets[rows]
        columns = (packets[name].tolist() for name in ("capture", "frame", "wire_len"))
        for place, (capture, frame, wire_len) in enumerate(zip(*columns, strict=True)):
            if capture >= 0 and frame > 0:
                found = self._originals.packet(batch.captures[capture], frame)
                contents[place] = found and _Content(*found, wire_len)
        return contents

    def _interface(self, key: Key) -> bytes:
        self._interfaces[key] = len(self._interfaces)
        point, linktype = key
        return blocks.interface(
            linktype, interface_name(point), interface_description(point), point.mac
        )


def _rebuilt(values: Values, direction: int) -> _Content | None:
    made = rebuilt(values, direction)
    if made is None:
        return None
    remark = "; headers rebuilt"
    if made.unknown:
        names = ", ".join(name.replace("_", " ") for name in made.unknown)
        remark += f", unknown and 0: {names}"
    return _Content(made.linktype, made.data, made.wire_len, remark)
