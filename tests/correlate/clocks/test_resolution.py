"""Captures of microseconds beside ones of nanoseconds: hops that take less keep their order."""

import random
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw
from scapy.utils import wrpcap

import tracer
from tracer.core.journeys import UNTIMED
from tracer.correlate.clocks.resolution import early_ns

START_NS, COUNT = 1_700_000_000_000_000_000, 60
PLACES = ("a", "bridge-in", "bridge-out", "b")  # one link: MACs and TTLs tell no order
Way = tuple[str, ...]


def packet(number: int, back: bool) -> Packet:
    ends = ("10.0.0.1", "10.0.0.2")
    src, dst = ends[::-1] if back else ends
    ip = IP(src=src, dst=dst, id=100 + number + 1000 * back)
    macs = ("02:00:00:00:00:01", "02:00:00:00:00:02")
    udp = UDP(sport=53 if back else 5000, dport=5000 if back else 53)
    frame = Ether(src=macs[back], dst=macs[not back])
    return frame / ip / udp / Raw(f"{number} {back}".encode())


def read(folder: Path, units_ns: tuple[int, ...]) -> tracer.JourneyFrames:
    """Questions and answers that take some 500 ns from each place to the next."""
    chance = random.Random(2)
    seen: dict[str, list[Packet]] = {place: [] for place in PLACES}
    for number in range(COUNT):
        sent_ns = START_NS + number * 20_000_000 + chance.randrange(1_000_000)
        for back in (False, True):
            at_ns = sent_ns + 300_000 * back
            for k in range(4)[:: -1 if back else 1]:
                frame = packet(number, back)
                frame.time = Decimal(at_ns // units_ns[k] * units_ns[k]) / 10**9
                seen[PLACES[k]].append(frame)
                at_ns += 400 + chance.randrange(200)
    for place, frames in seen.items():
        wrpcap(str(folder / f"{place}.pcap"), frames, nano=True)
    return tracer.read(folder)


@pytest.mark.parametrize(
    "units_ns", [(1, 1000, 1, 1), (1000, 1, 1000, 1), (1, 1000, 1000, 1), (1000, 1, 1, 1000)]
)
def test_hops_shorter_than_a_unit_are_in_order(units_ns: tuple[int, ...], tmp_path: Path) -> None:
    found = read(tmp_path, units_ns)
    ways = found.hops.groupby("journey")["point"].agg(tuple)
    assert ways.value_counts().to_dict() == {PLACES: COUNT, PLACES[::-1]: COUNT}
    deltas = found.hops["delta"].dropna().dt.total_seconds()
    assert (deltas >= 0).all()
    # Times are those that the captures have.
    for place, unit_ns in zip(PLACES, units_ns, strict=True):
        stamps = found.hops.loc[found.hops["point"] == place, "time"].astype("int64").to_numpy()
        assert (stamps % unit_ns == 0).all()
    assert {each["offset_ns"] for each in found.summary["clocks"]} == {0}


def test_only_captures_that_are_coarser_than_others_are_early() -> None:
    capture = np.repeat([0, 1, 2], 10).astype(np.int32)
    fine, coarse, coarsest = (START_NS + np.arange(30) * unit for unit in (1_001, 1_000, 1_000_000))
    assert not len(early_ns(capture, fine))
    assert not len(early_ns(capture, coarse))
    found = early_ns(capture, np.where(capture == 1, coarse, fine))
    assert found.tolist() == [0] * 10 + [499] * 10 + [0] * 10
    found = early_ns(capture, np.where(capture == 1, coarsest, coarse))
    assert found.tolist() == [0] * 10 + [499_500] * 10 + [0] * 10


def test_stamps_that_no_clock_shows_tell_nothing() -> None:
    capture = np.repeat([0, 1], 10).astype(np.int32)
    fine, round_ = START_NS + np.arange(20) * 1_001, START_NS + np.arange(20) * 50_000
    assert not len(early_ns(capture, np.where(capture == 1, round_, fine)))


def test_too_few_stamps_tell_nothing() -> None:
    capture = np.array([0] * 4 + [1] * 10, np.int32)
    stamp = np.where(capture == 0, 1_000, 1_001) * np.arange(14)
    assert not len(early_ns(capture, stamp))


def test_a_few_stamps_are_taken_to_be_of_a_unit_that_others_have() -> None:
    capture = np.array([0] * 4 + [1] * 10, np.int32)
    assert not len(early_ns(capture, START_NS + np.arange(14) * 1_000))
    capture = np.array([0] * 4 + [1] * 10 + [2] * 10, np.int32)
    stamp = START_NS + np.where(capture == 2, 1_001, 1_000) * np.arange(24)
    assert early_ns(capture, stamp).tolist() == [499] * 14 + [0] * 10


def test_rows_without_a_stamp_or_a_capture_tell_nothing_and_stay_as_they_are() -> None:
    capture = np.repeat([0, 1, 2], 300).astype(np.int32)
    stamp = START_NS + np.where(capture == 1, 1_000, 1_001) * np.arange(900)
    stamp[[5, 599, *range(600, 900)]] = UNTIMED
    found = early_ns(capture, stamp)
    assert found[[5, 599]].tolist() == [0, 0]
    assert set(found[300:599].tolist()) == {499}
    assert not found[600:].any()
    without = np.where(capture == 2, -1, capture)
    assert early_ns(without, stamp).tolist() == found.tolist()
    coarse = np.where(stamp == UNTIMED, UNTIMED, START_NS + np.arange(900) * 1_000)
    assert not len(early_ns(capture, coarse))
