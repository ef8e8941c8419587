"""A world: points, packets, what was observed of them, and the truth about it all."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scenarios.captures import Capture, capture_rows
from scenarios.clocks import EPOCH, Clock
from scenarios.elements import Chain, Tap, mac_of
from scenarios.frames import Frames, blank, join
from scenarios.nat import Nat
from scenarios.scenario import Scenario, Truth
from scenarios.scenario import distinguishable as told_apart
from tracer.core.batch import ObservationBatch
from tracer.core.point import Point
from tracer.core.schema import SECTION_DTYPES, StructuredArray

CHUNK = 4096


class World:
    """One simulation; `told` says whether the points tell their host (and so their clock).

    `loose_ns`: how far the packets leave the clocks open, so that those of equal bytes which are
    closer to each other cannot be told apart.
    """

    def __init__(
        self, seed: int, told: bool = True, directions: bool = False, loose_ns: int = 0
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.loose_ns = loose_ns
        self.told, self.directions = told, directions
        self.points: list[Point] = []
        self.clock_of: list[str] = []
        self.clocks: dict[str, Clock] = {}
        self.captures: dict[int, Capture] = {}
        self.nats: list[Nat] = []
        self.seen: list[tuple[int, int, Frames]] = []
        self.packets = self.flows = self.devices = 0
        self.lost: dict[int, int] = {}
        self.recut: set[int] = set()  # packets that were put together on their way
        self.links: dict[str, list[tuple[int, int]]] = {
            "reply_of": [], "retransmission_of": [], "quotes": [],
        }  # fmt: skip

    def point(
        self, name: str, host: str = "compute03", netns: str | None = None, mac: int | None = None
    ) -> Tap:
        """Return a new device to put into a chain."""
        number = len(self.points)
        mac = mac_of(number + 1) if mac is None else mac
        where = Point(host, netns, name) if self.told else Point(None, None, name)
        self.points.append(replace(where, capture=f"{host}-{name}.pcap"))
        self.clock_of.append(host)
        self.clocks.setdefault(host, Clock())
        self.captures[number] = Capture()
        return Tap(number, mac)

    def nat(self, **options: object) -> Nat:
        """Return a new translation whose table a dump may hold."""
        self.nats.append(Nat(**options))  # type: ignore[arg-type]
        return self.nats[-1]

    def flow(self, count: int = 1) -> NDArray[np.int64]:
        """Return `count` new flow numbers."""
        self.flows += count
        return np.arange(self.flows - count, self.flows)

    def new(self, count: int) -> Frames:
        """Return `count` blank frames, each a new packet with bytes of its own."""
        frames = blank(count)
        frames.meta["packet"] = np.arange(self.packets, self.packets + count)
        frames.meta["stream"] = self.rng.integers(1, 1 << 63, count, np.uint64)
        frames.meta["true_ns"] = EPOCH
        self.packets += count
        return frames

    def renew(self, frames: Frames) -> Frames:
        """Return copies of the rows as new packets."""
        again = frames.copy()
        again.meta["packet"] = np.arange(self.packets, self.packets + len(frames))
        again.meta["place"], again.meta["last_point"] = 0, -1
        self.packets += len(frames)
        return again

    def relate(self, kind: str, packets: NDArray[np.int64], to: NDArray[np.int64]) -> None:
        """Note that each of `packets` is the reply to, a repetition of or an error about `to`."""
        self.links[kind] += zip(packets.tolist(), to.tolist(), strict=True)

    def run(self, chain: Chain, frames: Frames, direction: int = 0) -> Frames:
        """Send frames over a chain and return what arrived; the given frames are not changed."""
        frames = frames.copy()
        chain.address(frames, direction)
        return chain.cross(self, frames, direction)

    def observe(self, point: int, frames: Frames, direction: int) -> None:
        """Record frames at a point."""
        frames.meta["place"] += 1
        frames.meta["last_point"] = point
        self.seen.append((point, direction, frames.copy()))

    def lose(self, frames: Frames) -> None:
        """Note that the network lost these frames."""
        whole = frames.take(~frames.meta["wire"]).meta
        self.lost.update(zip(whole["packet"].tolist(), whole["last_point"].tolist(), strict=True))

    def part(self, frames: Frames) -> None:
        """Let the fragments of datagrams that nobody ever put together be a packet each.

        Those given came as far as anyone; what is missing was lost before.
        """
        packets = np.setdiff1d(frames.meta["packet"], np.fromiter(self.recut, np.int64))
        for _, _, seen in self.seen:
            p = seen.packets
            whole = (p["frag_offset"] <= 0) & (p["more_fragments"] != 1)
            packets = np.setdiff1d(packets, seen.meta["packet"][whole])
        new: dict[tuple[int, int], int] = {}
        for _, _, seen in self.seen:
            of = np.flatnonzero(np.isin(seen.meta["packet"], packets))
            pieces = zip(seen.meta["packet"][of], seen.packets["frag_offset"][of], strict=True)
            for i, piece in zip(of, pieces, strict=True):
                seen.meta["packet"][i] = new.setdefault(piece, self.packets + len(new))
        self.lost |= {n: self.lost[p] for (p, _), n in new.items() if p in self.lost}
        came = zip(frames.meta["packet"], frames.packets["frag_offset"], strict=True)
        for piece, point in zip(came, frames.meta["last_point"], strict=True):
            if piece in new:
                self.lost[new[piece]] = int(point)
        self.packets += len(new)

    def shuffle(self) -> None:
        """Name the points so that nothing tells their order, and list them in another."""
        order = self.rng.permutation(len(self.points))
        place = np.argsort(order)
        anonymous = [Point(p.host, None, f"cap{place[i]:03}") for i, p in enumerate(self.points)]
        self.points = [replace(anonymous[i], capture=f"cap{place[i]:03}.pcap") for i in order]
        self.clock_of = [self.clock_of[i] for i in order]
        self.captures = {int(place[i]): capture for i, capture in self.captures.items()}
        self.seen = [(int(place[at]), way, frames) for at, way, frames in self.seen]
        self.lost = {k: int(place[at]) if at >= 0 else at for k, at in self.lost.items()}

    def finish(
        self, name: str, conntrack: bool = False, doc: str = "", log: dict[str, int] | None = None
    ) -> Scenario:
        """Return the scenario: what the captures hold, and the truth.

        `conntrack`: with dumps of the translations; `log`: with event logs (`Nat.events`).
        """
        parts = [self._capture(point) for point in range(len(self.points))]
        frames = join([part for part, _ in parts])
        true = np.concatenate([part_ns for _, part_ns in parts])
        point = np.concatenate([np.full(len(part), i) for i, (part, _) in enumerate(parts)])
        names = [p.capture or "" for p in self.points]
        files = list(dict.fromkeys(names))
        frames.packets["point"] = point
        frames.packets["capture"] = np.array([files.index(name) for name in names])[point]
        if len(files) < len(names):
            order = np.lexsort((frames.meta["place"], true, frames.packets["capture"]))
            frames, true = frames.take(order), true[order]
            _number(frames.packets)
        batch = ObservationBatch(frames.packets, _sparse(frames), tuple(self.points), tuple(files))
        entries = [e for nat in self.nats if conntrack for e in nat.entries()]
        for nat in self.nats if log is not None else ():
            clock = self.clocks.get(nat.clock or nat.host or "", Clock())
            entries += nat.events(clock, self.rng, **log)
        dumped = conntrack or log is not None
        return Scenario(name, batch, entries, self._truth(frames, true, dumped), doc, frames.meta)

    # What one capture holds, in its order, stamped; and the truth about its stamps.
    def _capture(self, point: int) -> tuple[Frames, NDArray[np.int64]]:
        parts = [(frames, way) for at, way, frames in self.seen if at == point]
        frames = join([part for part, _ in parts])
        frames = capture_rows(self.captures[point], frames, self.rng)
        true = frames.meta["true_ns"]
        frames.packets["time_ns"] = self.clocks[self.clock_of[point]].stamp(true, self.rng)
        frames.packets["frame"] = np.arange(1, len(frames) + 1)
        return frames, true

    def _truth(self, frames: Frames, true: NDArray[np.int64], dumped: bool) -> Truth:
        links = {name: np.full(self.packets, -1, np.int64) for name in self.links}
        for name, pairs in self.links.items():
            for packet, to in pairs:
                links[name][packet] = to
        lost = np.full(self.packets, -1, np.int64)
        for packet, at in self.lost.items():
            lost[packet] = at
        known = np.zeros(self.flows + 1, bool)
        for nat in self.nats if dumped else ():
            known[: len(nat.table)] |= nat.table["known"]
        return Truth(
            packet=frames.meta["packet"],
            true_ns=true,
            place=frames.meta["place"],
            distinguishable=told_apart(frames, known, self.loose_ns),
            lost_after=lost,
            clocks=tuple(self.clocks[name] for name in self.clock_of),
            **links,
        )


# Frames of files in the order of the file, where several points are in one.
def _number(packets: StructuredArray) -> None:
    capture = packets["capture"]
    packets["frame"] = np.arange(len(packets)) - np.searchsorted(capture, capture) + 1


def _sparse(frames: Frames) -> dict[str, StructuredArray]:
    sections = {}
    for name, dtype in SECTION_DTYPES.items():
        section = frames.sections.get(name, np.empty(0, dtype))
        there = np.flatnonzero(section["row"] == 0)
        section = section[there].copy()
        section["row"] = there
        sections[name] = section
    return sections
