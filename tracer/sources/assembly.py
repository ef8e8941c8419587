"""Windows of several captures → one batch whose rows name their points and captures."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import Gap, ObservationBatch
from tracer.core.point import Direction, Point
from tracer.core.records import copied
from tracer.core.schema import StructuredArray
from tracer.core.warnings import InputWarning
from tracer.sources.decode.linktypes import LINUX_SLL, NFLOG
from tracer.sources.decode.nflog import HOOKS
from tracer.sources.decode.rows import Decoder, Workers
from tracer.sources.frames import Interface, Window
from tracer.sources.late import LateTimes
from tracer.sources.points import PointNaming

_UNDEFINED = -1  # link type of packets whose interface the file does not describe


@dataclass(slots=True)
class _Span:
    # The rows one capture has in the batch under way, and where its interfaces are counted from.
    capture: int
    naming: PointNaming
    interfaces: list[Interface]
    first_interface: int


class Assembler:
    """Decodes windows into batches; `points` and `captures` only grow from batch to batch.

    `workers` may be those of others, too; `most`: rows of a batch, where that is known.
    """

    def __init__(self, workers: Workers | None = None, most: int | None = None) -> None:
        self._decoder = Decoder(workers, most)
        self._points: dict[Point, int] = {}
        self._captures: dict[str, int] = {}
        self._spans: list[_Span] = []
        self._linktypes: NDArray[np.int32] = np.empty(0, np.int32)
        self.rows = 0  # in the batch under way
        self._late = LateTimes()
        # Of each capture, interface and ifindex of its packets.
        self.places: defaultdict[str, set[tuple[int, int]]] = defaultdict(set)

    def begin(self, name: str, naming: PointNaming, interfaces: list[Interface]) -> None:
        """Say whose windows follow; `interfaces` may grow while they are added."""
        capture = self._captures.setdefault(name, len(self._captures))
        first = 0
        if self._spans:
            last = self._spans[-1]
            first = last.first_interface + 1 + len(last.interfaces)
        self._spans.append(_Span(capture, naming, interfaces, first))

    def add(self, window: Window) -> None:
        """Decode the packets of a window."""
        span = self._spans[-1]
        # The decoder sees the interfaces of all captures in one row, each capture's preceded by
        # one that stands for undefined interfaces (-1).
        own = np.array([_UNDEFINED, *window.linktypes], np.int32)
        known = np.full(span.first_interface + len(own), _UNDEFINED, np.int32)
        known[span.first_interface :] = own
        frames = copied(window.frames)
        frames["interface"] += span.first_interface + 1
        self._decoder.add(window.data, frames, known, window.first_frame, span.capture)
        self.rows += len(frames)

    def wait_for(self, data: NDArray[np.uint8]) -> None:
        """Return once `data`, which windows were made of, may be overwritten."""
        self._decoder.wait_for(data)

    def flush(self) -> ObservationBatch:
        """Return the rows added since the last flush."""
        decoded = self._decoder.finish()
        packets = decoded.packets
        if len(packets):
            self._note_places(decoded.origins)
            if (late := decoded.origins["late"]).any():
                self._late.settle(packets, late[packets["point"]])
            places = np.array([self._point_of(origin) for origin in decoded.origins], np.int32)
            if not np.array_equal(places, np.arange(len(places))):
                packets["point"] = places[packets["point"]]
        gaps = self.gaps()
        del self._spans[:-1]
        if self._spans:
            self._spans[-1].first_interface = 0
        self.rows = 0
        batch = self._batch(packets, decoded.sections)
        batch.gaps = gaps
        return batch

    def adopt(self, batch: ObservationBatch) -> ObservationBatch:
        """Return a batch that another reader made, with points and captures as counted here."""
        points = [self._points.setdefault(p, len(self._points)) for p in batch.points]
        captures = [self._captures.setdefault(c, len(self._captures)) for c in batch.captures]
        for name, codes in (("point", points), ("capture", captures)):
            batch.packets[name] = np.array([*codes, -1], np.int32)[batch.packets[name]]
        batch.points, batch.captures = tuple(self._points), tuple(self._captures)
        return batch

    def _batch(
        self, packets: StructuredArray, sections: dict[str, StructuredArray]
    ) -> ObservationBatch:
        return ObservationBatch(packets, sections, tuple(self._points), tuple(self._captures))

    def gaps(self) -> tuple[Gap, ...]:
        """Return what the captures say they lost, each told once."""
        return tuple(self._gaps())

    def _gaps(self) -> Iterator[Gap]:
        for span in self._spans:
            for index, interface in enumerate(span.interfaces):
                for first_ns, last_ns, packets in interface.gaps:
                    point = self._point(span, index, -1, Direction.UNKNOWN)
                    yield Gap(point, first_ns, last_ns, packets)
                interface.gaps.clear()

    def late_warnings(self) -> Iterator[InputWarning]:
        """Yield a warning for each capture in which packets were left without a time."""
        return self._late.warnings(tuple(self._captures))

    def _note_places(self, origins: StructuredArray) -> None:
        captures = tuple(self._captures)
        for origin in origins:
            number = int(origin["interface"])
            span = self._span_of(number)
            place = number - span.first_interface - 1, int(origin["ifindex"])
            self.places[captures[span.capture]].add(place)

    def _span_of(self, number: int) -> _Span:
        return next(s for s in reversed(self._spans) if s.first_interface <= number)

    def _point_of(self, origin: StructuredArray) -> int:
        number = int(origin["interface"])
        span = self._span_of(number)
        index = number - span.first_interface - 1
        point = self._point(
            span, index, int(origin["ifindex"]), Direction(int(origin["direction"]))
        )
        if (hook := int(origin["hook"])) >= 0:
            point = replace(point, hook=HOOKS[hook])
        return self._points.setdefault(point, len(self._points))

    def _point(self, span: _Span, index: int, ifindex: int, direction: Direction) -> Point:
        interface = span.interfaces[index] if index >= 0 else Interface(_UNDEFINED)
        name = None if interface.linktype == NFLOG else interface.name  # `nflog:5` is a group
        point = span.naming.point(
            index, name, ifindex, direction,
            is_only=len(span.interfaces) == 1 and index == 0,
        )  # fmt: skip
        if interface.linktype == LINUX_SLL and point.name == point.capture:
            point = replace(point, several=True)
        if (interface.mac, interface.clock) != (None, None):
            mac = interface.mac if point.mac is None else point.mac
            point = replace(point, mac=mac, clock=point.clock or interface.clock)
        return point
