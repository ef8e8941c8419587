"""Traffic: what end hosts send, and what they answer to what arrived."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scenarios.clocks import EPOCH
from scenarios.elements import Chain
from scenarios.frames import Frames, join, measure, mix
from scenarios.world import World
from tracer.core.address import encode_ip

ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
MILLI = 1_000_000
CONSTANT = 0x1234  # the stream of payloads that are all alike
NO_SACK = 1


def ip_header(frames: Frames, src: str, dst: str, proto: int, ttl: int = 64) -> None:
    """Set the IP columns of all rows; `src` and `dst` are addresses of one family."""
    p = frames.packets
    frames.set_ip("src", src)
    frames.set_ip("dst", dst)
    version = 6 if ":" in src else 4
    p["ip_version"], p["proto"], p["ttl"], p["tos"] = version, proto, ttl, 0
    p["ethertype"] = 0x86DD if version == 6 else 0x0800
    if version == 4:
        p["df"], p["frag_offset"], p["more_fragments"] = 1, 0, 0
    else:
        p["flow_label"] = 0x12345


def number_ids(
    world: World, frames: Frames, mode: str = "counter", start: int | None = None
) -> None:
    """Set IP ids in sending order: `counter` (wraps; one for all rows), `random` or `zero`."""
    p, n = frames.packets, len(frames)
    if (p["ip_version"] == 6).any():
        return
    if mode == "zero":
        p["ip_id"] = 0
    elif mode == "random":
        p["ip_id"] = world.rng.integers(1, 65536, n)
    else:
        first = int(world.rng.integers(1, 65536)) if start is None else start
        rank = np.argsort(np.argsort(frames.meta["true_ns"], kind="stable"), kind="stable")
        p["ip_id"] = (first + rank) & 0xFFFF


def times(
    world: World, count: int, gap_ns: int, start_ns: int = 0, spread: float = 0.1
) -> NDArray[np.int64]:
    """Return sending times about `gap_ns` apart, from EPOCH + `start_ns` on."""
    gaps = gap_ns * (1 + spread * world.rng.standard_normal(count))
    out: NDArray[np.int64] = EPOCH + start_ns + np.cumsum(np.maximum(gaps, 100)).astype(np.int64)
    return out


def pings(
    world: World, src: str, dst: str, count: int, *, gap_ns: int = 10 * MILLI, start_ns: int = 0,
    icmp_id: int | None = None, first_seq: int = 1, size: int = 56, constant: bool = False,
    ids: str = "counter", spread: float = 0.1, ttl: int = 64,
) -> Frames:  # fmt: skip
    """Return echo requests of one ping process (one flow)."""
    frames = world.new(count)
    p, v6 = frames.packets, ":" in src
    ip_header(frames, src, dst, ICMP6 if v6 else ICMP, ttl)
    p["icmp_type"], p["icmp_code"] = 128 if v6 else 8, 0
    p["icmp_id"] = int(world.rng.integers(1, 65536)) if icmp_id is None else icmp_id
    p["icmp_seq"] = (first_seq + np.arange(count)) & 0xFFFF
    p["payload_len"] = size
    frames.meta["flow"] = world.flow()[0]
    frames.meta["true_ns"] = times(world, count, gap_ns, start_ns, spread)
    if constant:
        frames.meta["stream"] = CONSTANT
    number_ids(world, frames, ids)
    measure(frames)
    return frames


def datagrams(
    world: World, src: str, dst: str, count: int, *, sport: int | None = None, dport: int = 4433,
    gap_ns: int = MILLI, start_ns: int = 0, size: int | tuple[int, int] = (40, 1200),
    constant: bool = False, ids: str = "counter", flows: int = 1,
) -> Frames:  # fmt: skip
    """Return UDP datagrams; with several `flows` each has a source port of its own."""
    frames = world.new(count)
    p = frames.packets
    ip_header(frames, src, dst, UDP)
    which = world.rng.integers(0, flows, count) if flows > 1 else np.zeros(count, np.int64)
    ports = world.rng.choice(np.arange(10_000, 65536), flows, replace=False)
    p["sport"] = ports[which] if sport is None else sport
    p["dport"] = dport
    low, high = size if isinstance(size, tuple) else (size, size)
    p["payload_len"] = world.rng.integers(low, high + 1, count)
    frames.meta["flow"] = world.flow(flows)[which]
    frames.meta["true_ns"] = times(world, count, gap_ns, start_ns)
    if constant:
        frames.meta["stream"] = CONSTANT
    number_ids(world, frames, ids)
    measure(frames)
    return frames


def answer(
    world: World, arrived: Frames, *, ids: str = "counter", service_ns: int = 50_000,
    echo: bool = False,
) -> Frames:  # fmt: skip
    """Return replies to echo requests, datagrams and ARP that arrived, one each.

    `echo`: of datagrams, too, they have the request's bytes, as those of echo requests.
    """
    reply = world.renew(arrived)
    p = reply.packets
    swap(reply)
    pinged = np.isin(p["icmp_type"], (8, 128))
    p["icmp_type"] = np.where(p["icmp_type"] == 8, 0, np.where(pinged, 129, p["icmp_type"]))
    p["ttl"] = np.where(p["ttl"] > 0, 64, p["ttl"])
    p["df"] = np.where(p["icmp_type"] == 0, 0, p["df"])
    # An echo reply has the request's bytes; other answers have their own.
    own = world.rng.integers(1, 1 << 63, len(reply), np.uint64)
    reply.meta["stream"] = np.where(pinged | echo, reply.meta["stream"], own)
    reply.meta["true_ns"] += service_ns + world.rng.integers(0, service_ns, len(reply))
    number_ids(world, reply, ids)
    world.relate("reply_of", reply.meta["packet"], arrived.meta["packet"])
    measure(reply)
    return reply


def swap(frames: Frames) -> None:
    """Exchange sources and destinations, addresses and ports."""
    p = frames.packets
    for a, b in (("src_hi", "dst_hi"), ("src_lo", "dst_lo"), ("sport", "dport")):
        p[a], p[b] = p[b].copy(), p[a].copy()


def exchange(
    world: World, chain: Chain, frames: Frames, *, back: Chain | None = None, ids: str = "counter",
    direction: int = 0, echo: bool = False,
) -> Frames:  # fmt: skip
    """Send requests over a chain and the answers back, and return the answers that arrived."""
    arrived = world.run(chain, frames, direction)
    arrived = once(arrived)
    return world.run(back or chain, answer(world, arrived, ids=ids, echo=echo), 1 - direction)


def once(frames: Frames) -> Frames:
    """Return the first arrival of each packet."""
    order = np.argsort(frames.meta["true_ns"], kind="stable")
    _, first = np.unique(frames.meta["packet"][order], return_index=True)
    return frames.take(np.sort(order[first]))


@dataclass(slots=True)
class Tcp:
    """TCP connections side by side, one column each; both ends' numbers and the next sending time.

    `chain` is crossed in direction 0 by what clients send. `ids`: IP id modes of both ends.
    `rto_ns` after a loss the segment is sent again, with a new IP id unless `same_id`.
    """

    world: World
    chain: Chain
    src: NDArray[np.uint64]  # low halves of IPv4 addresses
    dst: NDArray[np.uint64]
    sport: NDArray[np.int64]
    dport: NDArray[np.int64]
    start_ns: NDArray[np.int64]
    ids: tuple[str, str] = ("counter", "counter")
    stamps: bool = True
    rto_ns: int = 210 * MILLI
    same_id: bool = False
    back: Chain | None = None
    inbound: bool = False
    seq: list[NDArray[np.int64]] = field(init=False)
    initial: list[NDArray[np.int64]] = field(init=False)
    counters: list[NDArray[np.int64]] = field(init=False)
    base: list[NDArray[np.int64]] = field(init=False)
    streams: list[NDArray[np.uint64]] = field(init=False)
    flow: NDArray[np.int64] = field(init=False)
    now: NDArray[np.int64] = field(init=False)
    peer: dict[str, NDArray[np.int64]] = field(init=False)

    def __post_init__(self) -> None:
        rng, n = self.world.rng, len(self.src)
        self.initial = [rng.integers(0, 1 << 32, n) for _ in range(2)]
        self.seq = [side.copy() for side in self.initial]
        self.counters = [rng.integers(0, 65536, n) for _ in range(2)]
        self.base = [rng.integers(1 << 20, 1 << 31, n) for _ in range(2)]
        self.streams = [rng.integers(1, 1 << 63, n, np.uint64) for _ in range(2)]
        self.flow, self.now = self.world.flow(n), EPOCH + self.start_ns
        self.peer = {name: np.zeros(n, np.int64) for name in ("src", "sport", "dst", "dport")}

    @classmethod
    def open(cls, world: World, chain: Chain, flows: int, *, src: str, dst: str, dport: int = 443,
             hosts: int = 1, gap_ns: int = 3 * MILLI, **options: object) -> "Tcp":  # fmt: skip
        """Return connections of `hosts` clients from `src` on, after their handshakes."""
        which = np.arange(flows) % hosts
        ports = np.empty(flows, np.int64)
        for host in range(hosts):
            mine = which == host
            ports[mine] = world.rng.choice(np.arange(32768, 61000), int(mine.sum()), replace=False)
        tcp = cls(
            world, chain, np.uint64(encode_ip(src)[1]) + which.astype(np.uint64),
            np.full(flows, encode_ip(dst)[1], np.uint64), ports, np.full(flows, dport),
            np.arange(flows) * gap_ns, **options,  # type: ignore[arg-type]
        )  # fmt: skip
        tcp.shake()
        return tcp

    def shake(self) -> None:
        """SYN, SYN-ACK, ACK."""
        everyone = np.arange(len(self.src))
        self.send(0, everyone, SYN)
        self.send(1, everyone, SYN | ACK)
        self.send(0, everyone, ACK)

    def send(
        self, side: int, flows: NDArray[np.int64], flags: int = ACK, size: int = 0, *,
        burst: int = 1, gap_ns: int = 20_000, shift: int = 0, window: int = 501, again: bool = True,
        sacked: int = 0,
    ) -> Frames:  # fmt: skip
        """Send `burst` segments a flow, repeat those lost, and return what arrived.

        `shift` moves the sequence number (a keep-alive has -1) and then takes no sequence space.
        `sacked`: by so many bytes more each segment of the burst says that it has behind a hole.
        """
        n = len(flows)
        flow, k = np.repeat(flows, burst), np.tile(np.arange(burst), n)
        frames = self.world.new(n * burst)
        frames.meta["true_ns"] = self.now[flow] + 40_000 + k * gap_ns
        frames.meta["true_ns"] += self.world.rng.integers(0, 15_000, n * burst)
        self._fill(frames, side, flow, flags, window)
        p = frames.packets
        p["payload_len"] = size
        if sacked:
            left = (p["tcp_ack"] + sacked) & 0xFFFFFFFF
            right = (left + (k + 1) * sacked) & 0xFFFFFFFF
            frames.meta["sack"] = left.astype(np.uint64) << np.uint64(32) | right.astype(np.uint64)
            apart = ((k + 2) * sacked).astype(np.uint64)  # edges from what is acknowledged on
            p["tcp_sack"] = mix(np.uint64(sacked) << np.uint64(32) | apart) | np.uint64(2)
        p["tcp_seq"] = (self.seq[side][flow] + k * size + shift) & 0xFFFFFFFF
        frames.meta["stream"] = self.streams[side][flow]
        frames.meta["offset"] = (p["tcp_seq"] - self.initial[side][flow] - 1) & 0xFFFFFFFF
        measure(frames)
        if not shift:
            used = size * burst + bool(flags & (SYN | FIN))
            self.seq[side][flows] = (self.seq[side][flows] + used) & 0xFFFFFFFF
        return self._deliver(side, frames, flow, again)

    def _fill(
        self, frames: Frames, side: int, flow: NDArray[np.int64], flags: int, window: int
    ) -> None:
        p = frames.packets
        ip_header(frames, "10.0.0.1", "10.0.0.2", TCP)
        ends = ("src", "dst") if side == 0 else ("dst", "src")
        for end, mine in (("src", ends[0]), ("dst", ends[1])):
            p[f"{end}_lo"] = getattr(self, mine)[flow]
            p[end[0] + "port"] = getattr(self, mine[0] + "port")[flow]
        if side == 1:  # the server answers what it saw, which NAT may have changed
            for name in ("src_lo", "dst_lo"):
                p[name] = self._seen(name, flow, p[name])
            for name in ("sport", "dport"):
                p[name] = self._seen(name, flow, p[name])
        p["tcp_flags"], p["tcp_window"], p["tcp_sack"] = flags, window, NO_SACK
        p["tcp_ack"] = np.where(flags & ACK, self.seq[1 - side][flow], 0)
        if self.stamps:
            ms = (frames.meta["true_ns"] - EPOCH) // MILLI
            p["tcp_tsval"] = (self.base[side][flow] + ms) & 0xFFFFFFFF
            echo = (self.base[1 - side][flow] + np.maximum(ms - 1, 0)) & 0xFFFFFFFF
            p["tcp_tsecr"] = echo if flags & ACK else 0
        frames.meta["flow"] = self.flow[flow]
        self._number(frames, side, flow)

    def _seen(
        self, name: str, flow: NDArray[np.int64], other: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        known = self.peer.get("seen_" + name)
        return other if known is None else np.where(known[flow] > 0, known[flow], other)

    def _number(self, frames: Frames, side: int, flow: NDArray[np.int64]) -> None:
        if self.ids[side] == "zero":
            frames.packets["ip_id"] = 0
            return
        order = np.argsort(flow, kind="stable")
        rank = np.empty(len(flow), np.int64)
        first = np.searchsorted(flow[order], flow[order])
        rank[order] = np.arange(len(flow)) - first
        frames.packets["ip_id"] = (self.counters[side][flow] + rank) & 0xFFFF
        # Super-packets use an id for every segment.
        np.add.at(self.counters[side], flow, 50)

    def _deliver(self, side: int, frames: Frames, flow: NDArray[np.int64], again: bool) -> Frames:
        way = side ^ self.inbound
        chain = self.chain if side == 0 else self.back or self.chain
        arrived = [self.world.run(chain, frames, way)]
        missing = ~np.isin(frames.meta["packet"], arrived[0].meta["packet"])
        for attempt in range(6 if again else 0):
            if not missing.any():
                break
            repeat = self._repeat(side, frames.take(missing), flow[missing], attempt)
            arrived.append(self.world.run(chain, repeat, way))
            frames, flow = repeat, flow[missing]
            missing = ~np.isin(frames.meta["packet"], arrived[-1].meta["packet"])
        out = join(arrived)
        self._note(side, out)
        return out

    def _repeat(self, side: int, lost: Frames, flow: NDArray[np.int64], attempt: int) -> Frames:
        repeat = self.world.renew(lost)
        repeat.meta["true_ns"] += self.rto_ns << attempt
        if not self.same_id:
            self._number(repeat, side, flow)
        if self.stamps:
            repeat.packets["tcp_tsval"] += (self.rto_ns << attempt) // MILLI
        # An ACK without bytes that follows a lost one looks like it, but repeats none of them.
        p = repeat.packets
        has_bytes = (p["payload_len"] > 0) | (p["tcp_flags"] & (SYN | FIN) > 0)
        self.world.relate(
            "retransmission_of", repeat.meta["packet"][has_bytes], lost.meta["packet"][has_bytes]
        )
        return repeat

    # The next to send does so after it has heard this.
    def _note(self, side: int, arrived: Frames) -> None:
        index = np.searchsorted(self.flow, arrived.meta["flow"])
        np.maximum.at(self.now, index, arrived.meta["true_ns"])
        if side == 0 and "seen_src_lo" not in self.peer:
            for name in ("src_lo", "dst_lo", "sport", "dport"):
                self.peer["seen_" + name] = np.zeros(len(self.src), np.int64)
        if side == 0:
            for seen, name in (("src_lo", "dst_lo"), ("dst_lo", "src_lo"),
                               ("sport", "dport"), ("dport", "sport")):  # fmt: skip
                self.peer["seen_" + seen][index] = arrived.packets[name].astype(np.int64)

    def talk(self, rounds: int, size: int = 1448, burst: int = 1, reply: int = 300) -> None:
        """Requests and answers: data up, an ACK, data down, an ACK, `rounds` times."""
        everyone = np.arange(len(self.src))
        for _ in range(rounds):
            self.send(0, everyone, ACK | PSH, size, burst=burst)
            self.send(1, everyone, ACK)
            self.send(1, everyone, ACK | PSH, reply)
            self.send(0, everyone, ACK)
            self.now += self.world.rng.integers(0, 2 * MILLI, len(self.now))

    def close(self) -> None:
        """FIN both ways."""
        everyone = np.arange(len(self.src))
        self.send(0, everyone, FIN | ACK)
        self.send(1, everyone, FIN | ACK)
        self.send(0, everyone, ACK)
