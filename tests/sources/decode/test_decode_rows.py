"""Windows, threads and hostile input: rows are the same however the packets come in."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from decoding import decode_frames, decoded, value
from hypothesis import given, settings
from hypothesis import strategies as st
from packets import ETHERNET, NULL, RAW, SLL, SLL2, PacketMaker

from tracer.core.enums import Decode
from tracer.core.schema import BY_NAME, null_of
from tracer.sources.decode import rows as module
from tracer.sources.decode.growth import GrowingRecords
from tracer.sources.decode.rows import DecodedFrames, Decoder
from tracer.sources.frames import FRAME_DTYPE

LINKTYPES = (ETHERNET, RAW, SLL, SLL2, NULL, 9, 147)
HERE = Path(__file__).parent


def many(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return data and frames of `count` packets, drawn from 200 made ones."""
    maker = PacketMaker(seed)
    pool = [maker.frame(ETHERNET) for _ in range(200)]
    lengths = np.array([len(packet) for packet in pool])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    drawn = np.random.default_rng(seed).integers(0, len(pool), count)
    frames = np.zeros(count, FRAME_DTYPE)
    frames["offset"], frames["cap_len"] = starts[drawn], lengths[drawn]
    frames["wire_len"], frames["time_ns"] = lengths[drawn], np.arange(count)
    frames["direction"] = -1
    frames["interface"] = np.arange(count) // 1000 % 3
    return np.frombuffer(b"".join(pool), np.uint8), frames


def same(one: DecodedFrames, other: DecodedFrames) -> None:
    np.testing.assert_array_equal(one.packets, other.packets)
    np.testing.assert_array_equal(one.origins, other.origins)
    for name, section in one.sections.items():
        np.testing.assert_array_equal(section, other.sections[name])


def test_threads_and_windows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    data, frames = many(1, 40_000)
    linktypes = np.array([ETHERNET] * 3, np.int32)
    whole = decode_frames(data, frames, linktypes)
    assert whole.packets["frame"].tolist() == list(range(1, 40_001))
    assert whole.origins.tolist() == [(n, -1, -1, -1, 0) for n in range(3)]
    assert all(len(whole.sections[name]) > 100 for name in ("tunnel", "arp", "quoted"))
    for section in whole.sections.values():
        assert (np.diff(section["row"]) > 0).all()
    monkeypatch.setattr(module, "PIECE", 1000)
    same(whole, decode_frames(data, frames, linktypes))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    decoder = Decoder()
    for start in range(0, 40_000, 7777):
        decoder.add(data, frames[start : start + 7777], linktypes, start + 1)
    same(whole, decoder.finish())
    same(decode_frames(data, frames[:0], linktypes), decoder.finish())


def test_rows_survive_growth_while_somebody_looks() -> None:
    records = GrowingRecords(np.dtype("<i8"))
    first = records.extend(1000)
    first[:] = np.arange(1000)
    records.extend(1_000_000)[:] = 7
    del first
    records.extend(5_000_000)[:] = 8
    kept = records.finish()
    assert (kept[:1000] == np.arange(1000)).all()
    assert (kept[1000], kept[-1], len(kept)) == (7, 8, 6_001_000)
    assert len(records.finish()) == 0


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_a_cut_packet_has_nulls_and_no_other_values(seed: int) -> None:
    """Whatever the snaplen, a column is what the whole packet has, or null, or the outer's."""
    maker = PacketMaker(seed, tunnels=0)
    packet = maker.frame(ETHERNET)
    length = len(packet)
    cuts = list(range(min(length, 200)))
    ours = decoded([packet[:cut] for cut in cuts] + [packet], wire=[length] * (len(cuts) + 1))
    for name in ours.packets.dtype.names or ():
        if name in ("frame", "cap_len", "decode", "payload_digest", "ethertype"):
            continue
        base = BY_NAME.get(name) or BY_NAME[name.removesuffix("_hi").removesuffix("_lo")]
        got = ours.packets[name]
        assert ((got == got[-1]) | (got == np.array(null_of(base), got.dtype))).all(), name
    assert set(ours.packets["decode"][:14].tolist()) == {Decode.TRUNCATED}


@settings(deadline=None, max_examples=30)
@given(
    packets=st.lists(st.binary(max_size=300), max_size=50),
    linktype=st.sampled_from(LINKTYPES),
    wire=st.integers(-1, 2**40),
)
def test_any_bytes_are_a_row(packets: list[bytes], linktype: int, wire: int) -> None:
    ours = decoded(packets, linktype, [max(wire, -1)] * len(packets))
    assert ours.packets["frame"].tolist() == list(range(1, len(packets) + 1))
    assert sum(ours.undecoded.values()) == np.count_nonzero(ours.packets["decode"])


@settings(deadline=None, max_examples=30)
@given(
    offset=st.integers(-(2**62), 2**62),
    cap_len=st.integers(-(2**31), 2**31 - 1),
    interface=st.integers(-(2**31), 2**31 - 1),
)
def test_frames_that_lie(offset: int, cap_len: int, interface: int) -> None:
    """A reader checks its frames; the decoder stays inside the data even if one did not."""
    frames = np.zeros(1, FRAME_DTYPE)
    frames["offset"], frames["cap_len"], frames["interface"] = offset, cap_len, interface
    ours = decode_frames(np.zeros(64, np.uint8), frames, np.array([1], np.int32))
    assert len(ours.packets) == 1


def test_nothing_beyond_a_packet_is_read() -> None:
    """Each packet is placed against a page that must not be touched; a read there is a crash."""
    run = subprocess.run(
        [sys.executable, str(HERE / "guard_page.py")], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout.strip()) == (0, "4000 packets"), run.stderr


def test_value_reads_sections() -> None:
    ours = decoded([bytes(60)])
    assert value(ours, 0, "vni") is None
