"""The text tree, as golden outputs, and what must hold whatever it looks like."""

import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made import POINTS, START_NS, batch_of, floating_ip, floating_ip_rows, journey_set_of, web

import tracer
from tracer.core.journeys import FlowPath, FlowPathHop, JourneySet
from tracer.core.values import journeys_of
from tracer.report.jsonl import journey_lines
from tracer.report.text import round_trip, text_of

WIDTHS = (80, 120, 160)


def plain(journey_set: JourneySet, width: int, chosen: list[int] | None = None) -> str:
    numbers = None if chosen is None else np.array(chosen)
    return "".join(f"{line.plain}\n" for line in text_of(journey_set, width, numbers))


@pytest.mark.parametrize("made", [floating_ip, web])
@pytest.mark.parametrize("width", WIDTHS)
def test_golden_text(
    made: Callable[[], JourneySet], width: int, golden: Callable[[str, str], None]
) -> None:
    golden(f"{made.__name__}-{width}.txt", plain(made(), width))


@pytest.mark.parametrize("made", [floating_ip, web])
def test_golden_jsonl(made: Callable[[], JourneySet], golden: Callable[[str, str], None]) -> None:
    golden(f"{made.__name__}.jsonl", b"".join(journey_lines(made())).decode())


@pytest.mark.parametrize("made", [floating_ip, web])
@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_asked(made: Callable[[], JourneySet], width: int) -> None:
    assert max(line.cell_len for line in text_of(made(), width)) <= width


def test_a_line_for_every_hop() -> None:
    text = plain(floating_ip(), 200)
    for point in POINTS:
        assert sum(f" {point.device} " in f"{line} " and " ttl " in line
                   for line in text.splitlines()) == 2, point.device  # fmt: skip


def test_changes_are_named() -> None:
    text = plain(floating_ip(), 200)
    assert "ttl 64→63  SNAT 192.168.3.69→100.122.0.145  id 22344→36215  [conntrack]" in text
    assert "un-SNAT 100.122.0.145→192.168.3.69  id 36215→22344  [conntrack]" in text
    assert "+vlan 20" in text
    assert "-vlan 20" in text


def test_what_ends_badly_is_said_with_place_and_reason() -> None:
    text = plain(web(), 200)
    assert "vanished after compute03/qrouter-b6a86b9f/qr-1f6b0aa3-3d" in text
    assert "dropped at compute03/enp175s0f1: NETFILTER_DROP" in text


def test_doubt_is_shown() -> None:
    text = plain(web(), 200)
    assert "[sequence, 1 of 3 candidates, 51% sure]" in text
    assert "retransmission of #3  2 duplicates  ambiguous" in text


def test_an_error_is_under_the_packet_it_quotes() -> None:
    lines = plain(web(), 200).splitlines()
    packet = next(n for n, line in enumerate(lines) if line.startswith("#4 TCP SYN"))
    error = next(n for n, line in enumerate(lines) if line.startswith("  #5 ICMP error"))
    assert packet < error
    assert "" not in lines[packet:error]
    assert "administratively prohibited" in lines[error]


def test_round_trip_is_measured_at_the_first_point_that_saw_both() -> None:
    request, reply = journeys_of(floating_ip(), [0, 1])
    assert round_trip(request, reply) == (435_250, "ens3")
    assert round_trip(request, None) is None


def test_only_chosen_journeys() -> None:
    text = plain(floating_ip(), 120, [1])
    assert "echo reply" in text
    assert "echo request" not in text
    assert plain(floating_ip(), 120, []) == ""


def test_a_day_without_a_date_is_not_shown() -> None:
    rows = [row | {"time_ns": row["time_ns"] % 86_400_000_000_000} for row in floating_ip_rows()]
    text = plain(journey_set_of(batch_of(rows), [{"rows": [0]}]), 120)
    assert "1970" not in text
    assert "2024-05-10 UTC" in plain(floating_ip(), 120)


def flow_path() -> JourneySet:
    """A request at two points, captured minutes apart, joined by inference; and a stranger."""
    vm = FlowPathHop(
        0, 0, (0,), "request", START_NS, None, ttl=64, src="192.168.3.69", dst="100.121.0.75",
        icmp_id=22344, first_seq=5, last_seq=5,
    )  # fmt: skip
    nic = FlowPathHop(
        5, 5, (5,), "request", START_NS + 10**12, "inferred", "the period is 1 s", ttl=62,
        src="100.122.0.145", dst="100.121.0.75", icmp_id=36215, first_seq=9, last_seq=9,
    )  # fmt: skip
    path = FlowPath("a > b id 1 → c > b id 2", 1, (vm, nic), ("SNAT is inferred",), 10**9)
    journeys = [{"rows": [row]} for row in range(12)]
    return journey_set_of(batch_of(floating_ip_rows()), journeys, flow_paths=(path,))


def test_a_flow_path_is_labelled_as_inferred(golden: Callable[[str, str], None]) -> None:
    text = plain(flow_path(), 120, [0, 5])
    golden("flow-path-120.txt", text)
    assert "inferred: no two of these captures share a packet" in text
    assert "SNAT" not in text.partition("inferred:")[0]


def test_packets_of_a_shown_flow_path_are_not_shown_again() -> None:
    assert "#1 " not in plain(flow_path(), 120)
    assert "#2 " in plain(flow_path(), 120)


def test_a_flow_path_without_a_chosen_packet_is_not_shown() -> None:
    assert "Flow path" not in plain(flow_path(), 120, [1, 2])


def test_a_point_without_device_is_called_alike_in_all_files_of_its_capture(
    captures: Path, tmp_path: Path
) -> None:
    # Every packet is in a file of its own, so that no request is in the file of its reply.
    for name, device in (("lan", "compute03-qr-1f6b0aa3-3d"), ("far", "sdata-enp4s0")):
        data = (captures / "fip-outbound" / f"{device}.pcap").read_bytes()
        head, at = data[:24], 24
        for number in range(24):
            length = 16 + struct.unpack_from("<I", data, at + 8)[0]
            (tmp_path / f"{name}.pcap{number or ''}").write_bytes(head + data[at : at + length])
            at += length
    read = tracer.read(tmp_path)
    assert set(read.observations["capture"]) > {"lan.pcap", "lan.pcap1", "far.pcap1"}
    lines = read.text(width=120).splitlines()
    hops = [line for line in lines if re.match(r" +\d+ +(\d\d:|\+)", line)]
    assert len(hops) >= 24
    assert {line[23:].split()[0] for line in hops} == {"lan", "far"}
    assert len({line.index(" ttl ") for line in hops if " ttl " in line}) == 1
    assert any(line.endswith("(RTT at lan)") for line in lines)


@pytest.mark.parametrize(("count", "said"), [(0, ""), (1, "1 duplicate"), (2, "2 duplicates")])
def test_duplicates_are_counted_in_words(count: int, said: str) -> None:
    journey_set = floating_ip()
    journey_set.journeys["duplicates"][0] = count
    title = plain(journey_set, 160, [0]).splitlines()[1]
    assert title.startswith("#1 ")
    assert title.endswith(said)
    assert ("duplicate" in title) == bool(said)
