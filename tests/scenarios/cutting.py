"""Datagrams that are cut, put together and cut anew on their way."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scenarios.frames import Frames, blank, join, measure

if TYPE_CHECKING:
    from scenarios.world import World

HEADER = 8  # of UDP and of an echo
OF_FIRST = ("sport", "dport", "icmp_type", "icmp_code", "icmp_id", "icmp_seq")


def span(frames: Frames) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which bytes of its datagram each frame has: the first, and how many."""
    p = frames.packets
    begin = np.maximum(p["frag_offset"], 0).astype(np.int64)
    return begin, p["payload_len"] + np.where(begin > 0, 0, HEADER)


def is_piece(frames: Frames) -> NDArray[np.bool_]:
    """Return which frames are fragments."""
    p = frames.packets
    found: NDArray[np.bool_] = (p["frag_offset"] > 0) | (p["more_fragments"] == 1)
    return found


@dataclass(slots=True)
class Cut:
    """To its right no frame has more than `room` bytes of IP payload (a multiple of 8)."""

    room: int = 1480
    step_ns: int = 1300

    def cross(self, world: "World", frames: Frames, direction: int) -> Frames:
        """Return frames in pieces, each still the packet that it is of."""
        begin, size = span(frames)
        was, more = is_piece(frames), frames.packets["more_fragments"] == 1
        count = -(-size // self.room)
        owner = np.repeat(np.arange(len(frames)), count)
        n = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
        out = frames.take(owner)
        p, cut = out.packets, count[owner] > 1
        at = begin[owner] + n * self.room
        part = np.minimum(self.room, size[owner] - n * self.room)
        fragment = cut | was[owner]
        p["frag_offset"] = np.where(fragment, at, p["frag_offset"])
        last = n == count[owner] - 1
        p["more_fragments"] = np.where(fragment, ~last | more[owner], p["more_fragments"])
        p["payload_len"] = np.where(at > 0, part, part - HEADER)
        moved = at - begin[owner] - HEADER * ((at > 0) & (begin[owner] == 0))
        out.meta["offset"] += moved
        null = blank(1).packets
        for name in OF_FIRST:
            p[name] = np.where(at > 0, null[name][0], p[name])
        v6 = p["ip_version"] == 6
        ids = world.rng.integers(1, 1 << 32, len(frames))[owner]
        p["ip_id"] = np.where(v6 & cut & ~was[owner], ids, p["ip_id"])
        p["df"] = np.where(fragment & ~v6, 0, p["df"])
        out.meta["true_ns"] += n * self.step_ns
        measure(out)
        return out


@dataclass(slots=True)
class Together:
    """To its right all pieces of a datagram are one frame; where one is missing there is none."""

    wait_ns: int = 2_000

    def cross(self, world: "World", frames: Frames, direction: int) -> Frames:
        """Return whole datagrams, once their last piece came."""
        piece = is_piece(frames)
        whole, parts = frames.take(~piece), frames.take(piece)
        m = parts.meta
        parts = parts.take(np.lexsort((m["true_ns"], span(parts)[0], m["packet"])))
        again = (np.diff(parts.meta["packet"]) == 0) & (np.diff(span(parts)[0]) == 0)
        parts = parts.take(np.append(True, ~again)[: len(parts)])
        m = parts.meta
        starts = np.flatnonzero(np.diff(m["packet"], prepend=-1))
        if not len(starts):
            return frames
        begin, size = span(parts)
        ends = np.append(starts[1:], len(parts)) - 1
        total = begin[ends] + size[ends]
        complete = (begin[starts] == 0) & (np.add.reduceat(size, starts) == total)
        complete &= parts.packets["more_fragments"][ends] == 0
        out = parts.take(starts[complete])
        world.part(parts.take(~np.isin(m["packet"], out.meta["packet"])))
        world.recut.update(out.meta["packet"].tolist())
        p, v6 = out.packets, out.packets["ip_version"] == 6
        p["payload_len"] = total[complete] - HEADER
        p["more_fragments"] = np.where(v6, -1, 0)
        p["frag_offset"] = np.where(v6, -1, 0)
        p["ip_id"] = np.where(v6, -1, p["ip_id"])
        out.meta["true_ns"] = np.maximum.reduceat(m["true_ns"], starts)[complete] + self.wait_ns
        measure(out)
        return join([whole, out])
