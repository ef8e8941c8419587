"""What a capture does to what passes it: misses, duplicates, cuts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenarios.frames import Frames, join, mix
from tracer.core.address import NULL_U64
from tracer.core.enums import Decode
from tracer.core.schema import StructuredArray

ETHERNET, COOKED, VLAN_TAG = 14, 16, 4
DIGEST_BYTES = 128  # the payload bytes a digest covers; null where fewer of them are captured
_TUNNEL_BYTES = {1: 50, 2: 50, 3: 42, 4: 42, 5: 20}


@dataclass(slots=True)
class Capture:
    """`start_ns`, `stop_ns` and `gaps` on the perfect clock; `missed`, `copies` are probabilities.

    `copies` is the share of frames a SPAN port or `any` shows twice, `copy_ns` later.
    """

    start_ns: int | None = None
    stop_ns: int | None = None
    gaps: tuple[tuple[int, int], ...] = ()
    missed: float = 0.0
    copies: float = 0.0
    copy_ns: int = 3_000
    snaplen: int = 262144
    off: bool = False
    cooked: bool = False  # SLL, as `any` writes: no destination MAC


def capture_rows(capture: Capture, frames: Frames, rng: np.random.Generator) -> Frames:
    """Return the rows a capture holds, in its order, with lengths and digests as captured."""
    t = frames.meta["true_ns"]
    kept = np.full(len(frames), not capture.off)
    if capture.start_ns is not None:
        kept &= t >= capture.start_ns
    if capture.stop_ns is not None:
        kept &= t < capture.stop_ns
    for start, stop in capture.gaps:
        kept &= (t < start) | (t >= stop)
    if capture.missed:
        kept &= rng.random(len(frames)) >= capture.missed
    frames = frames.take(kept)
    if capture.copies:
        again = frames.take(rng.random(len(frames)) < capture.copies)
        again.meta["true_ns"] += capture.copy_ns
        frames = join([frames, again])
    frames = frames.take(np.argsort(frames.meta["true_ns"], kind="stable"))
    if capture.cooked:
        _without_target(frames)
    cut(frames, capture.snaplen, COOKED if capture.cooked else ETHERNET)
    return frames


# A cooked header has the sender's MAC only; what a tunnel carries keeps both.
def _without_target(frames: Frames) -> None:
    carried = np.zeros(len(frames), bool)
    if "tunnel" in frames.sections:
        tunnel = frames.sections["tunnel"]
        carried = tunnel["row"] == 0
        tunnel["outer_dst_mac"] = NULL_U64
    frames.packets["dst_mac"][~carried] = NULL_U64


def cut(frames: Frames, snaplen: int, header: int = ETHERNET) -> None:
    """Set `wire_len`, `cap_len` and `payload_digest` for a snaplen."""
    p = frames.packets
    outer = np.zeros(len(frames), np.int64)
    if "tunnel" in frames.sections:
        tunnel = frames.sections["tunnel"]
        for kind, size in _TUNNEL_BYTES.items():
            outer[(tunnel["row"] == 0) & (tunnel["encap"] == kind)] = size
    arp = p["ip_version"] < 0
    whole = header + VLAN_TAG * (p["vlan"] >= 0) + outer + np.where(arp, 28, p["ip_len"])
    p["wire_len"] = whole
    p["cap_len"] = np.minimum(whole, snaplen)
    captured = p["payload_len"] - (p["wire_len"] - p["cap_len"])
    _cut_options(p, captured, frames.meta["sack"] > 0)
    covered = np.minimum(p["payload_len"], DIGEST_BYTES)
    known = (captured >= covered) & (covered >= 0)
    if "quoted" in frames.sections:
        known &= frames.sections["quoted"]["row"] < 0
        _digest_quotes(frames, captured)
    found = digest(frames.meta["stream"], frames.meta["offset"], covered)
    p["payload_digest"] = np.where(known, found, 0)


def _digest_quotes(frames: Frames, captured: NDArray[np.int32]) -> None:
    quoted, m = frames.sections["quoted"], frames.meta
    covered = np.minimum(m["quoted"], DIGEST_BYTES)
    heads = np.where(frames.packets["ip_version"] == 6, 48, 28)
    found = digest(m["stream"], m["offset"], covered)
    known = (quoted["row"] == 0) & (captured >= heads + covered)
    quoted["inner_payload_digest"] = np.where(known, found, 0)


# The TCP header ends with time stamps, or with those and a SACK block behind them, 12 bytes each.
def _cut_options(
    p: StructuredArray, captured: NDArray[np.int32], with_sack: NDArray[np.bool_]
) -> None:
    has_options = (p["tcp_tsval"] >= 0) | with_sack
    unread = has_options & (captured < 0)
    p["tcp_sack"][unread] = 0
    p["decode"][unread] = Decode.TRUNCATED
    short = unread & (captured < -12 * with_sack)
    p["tcp_tsval"][short] = p["tcp_tsecr"][short] = -1


def digest(
    stream: NDArray[np.uint64], offset: NDArray[np.int64], size: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Return stable hashes of `size` payload bytes, uint64 and never 0."""
    key = np.where(size > 0, stream ^ mix(offset.astype(np.uint64)), 0)
    return mix(key ^ mix(mix(size.astype(np.uint64)))) | np.uint64(1)
