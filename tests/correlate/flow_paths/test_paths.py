"""Flow paths: the walk-through's facts as numbers, and pings made up with known truth."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hand_made import SDATA, SECOND, VM, Look, Ping, batch_of
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tracer.core.address import NULL_U64, encode_ip, encode_mac
from tracer.core.batch import ObservationBatch
from tracer.core.conntrack import ConntrackEntry, Tuple
from tracer.core.enums import Cause
from tracer.core.journeys import ClockEstimate, FlowPath
from tracer.core.point import Point
from tracer.core.schema import PACKET_DTYPE, null_record
from tracer.correlate.flow_paths.apart import needs_flow_paths
from tracer.correlate.flow_paths.paths import flow_paths
from tracer.sources.read import read

FIP, PROXY = "100.122.0.145", "100.121.0.57"
Result = tuple[ObservationBatch, dict[int, FlowPath], dict[str, ClockEstimate]]


@pytest.fixture(scope="module")
def walkthrough(captures: Path) -> Result:
    batch = read([captures / "walkthrough"]).batch
    paths, clocks = flow_paths(batch)
    by_id = {hop.icmp_id: path for path in paths for hop in path.hops if hop.icmp_id is not None}
    assert {id(path) for path in by_id.values()} == {id(path) for path in paths}
    return batch, by_id, {clock.clock: clock for clock in clocks}


def device(batch: ObservationBatch, point: int) -> str:
    return (batch.points[point].device or "?").split("-")[0]


def shown(result: Result, icmp_id: int, direction: str) -> list[tuple[str, int | None]]:
    batch, paths, _ = result
    hops = [hop for hop in paths[icmp_id].hops if hop.direction == direction]
    return [(device(batch, hop.point), hop.ttl) for hop in hops]


def test_the_walkthrough_needs_flow_paths_and_simultaneous_captures_do_not(
    walkthrough: Result, captures: Path
) -> None:
    batch = walkthrough[0]
    assert len(batch) == 54
    assert needs_flow_paths(batch)
    for folder in ("fip-outbound", "fip-inbound", "two-tenants"):
        assert not needs_flow_paths(read([captures / folder]).batch)
    assert not needs_flow_paths(read([captures / "walkthrough" / "out01-vm-ens3.txt"]).batch)


def test_five_flows_and_every_packet_in_one(walkthrough: Result) -> None:
    batch, paths, _ = walkthrough
    flows = {id(path): path for path in paths.values()}
    assert {frozenset(i for i, p in paths.items() if p is path) for path in flows.values()} == {
        frozenset({22344, 36215}), frozenset({62038}), frozenset({62761}),
        frozenset({35921}), frozenset({59373}),
    }  # fmt: skip
    rows = [row for path in flows.values() for hop in path.hops for row in hop.rows]
    assert sorted(rows) == list(range(len(batch)))


@pytest.mark.parametrize(
    ("icmp_id", "requests", "replies"),
    [
        (22344, [("ens3", 64), ("qr", 64), ("fpr", 63), ("enp175s0f1", 62)],
         [("enp175s0f1", 63), ("fpr", 62), ("qr", 61), ("ens3", 61)]),
        (62038, [("enp4s0.1299", 64), ("fg", 63), ("rfp", 62), ("ens3", 61)],
         [("ens3", 64), ("rfp", 63), ("fg", 62), ("enp4s0.1299", 61)]),
        (62761, [("rfp", 63), ("fg", 62)], [("fg", 63), ("rfp", 62)]),
        (35921, [("fpr", 62), ("qr", 61)], [("qr", 64), ("fpr", 63)]),
        (59373, [("ens3", 64)], [("ens3", 64)]),
    ],
)  # fmt: skip
def test_points_in_travel_order_with_their_ttl(
    walkthrough: Result,
    icmp_id: int,
    requests: list[tuple[str, int]],
    replies: list[tuple[str, int]],
) -> None:
    assert shown(walkthrough, icmp_id, "request") == requests
    assert shown(walkthrough, icmp_id, "reply") == replies
    assert not any("not proven" in text for text in walkthrough[1][icmp_id].inferences)


def test_the_rewritten_id_is_inferred_with_its_numbers(walkthrough: Result) -> None:
    paths = walkthrough[1]
    path = paths[36215]
    (join,) = path.joins
    assert (join.translation, join.evidence) == ("snat", "period")
    assert join.residual == pytest.approx(0.010, abs=0.005)
    assert join.period_ns == pytest.approx(1_022_126_000, rel=1e-5)
    assert path.period_ns == pytest.approx(1_022_126_000, rel=1e-4)
    assert join.chance is not None
    assert join.chance < 1e-3
    assert "inferred" in join.text
    assert join.text in path.inferences
    assert path.ambiguities == ()
    requests = [hop for hop in path.hops if hop.direction == "request"]
    assert [hop.icmp_id for hop in requests] == [22344, 22344, 36215, 36215]
    assert [hop.join for hop in requests] == [None, "five-tuple", "inferred", "five-tuple"]
    assert [hop.cause for hop in requests] == [
        Cause.NONE, Cause.BRIDGED, Cause.SNAT, Cause.FORWARDED,
    ]  # fmt: skip
    assert [hop.src for hop in requests] == [VM, VM, FIP, FIP]
    assert {hop.dst for hop in requests} == {SDATA}
    replies = [hop for hop in path.hops if hop.direction == "reply"]
    assert [hop.cause for hop in replies][2] == Cause.UN_SNAT
    assert (requests[0].first_seq, requests[-1].last_seq) == (16434, 17209)
    assert requests[-1].vlan == 20


def test_dnat_keeps_the_id(walkthrough: Result) -> None:
    for icmp_id in (62038, 35921):
        (join,) = walkthrough[1][icmp_id].joins
        assert (join.translation, join.evidence) == ("dnat", "same-id")
        requests = [h for h in walkthrough[1][icmp_id].hops if h.direction == "request"]
        assert (requests[0].dst, requests[-1].dst) == (FIP, VM)
        assert requests[-1].cause == Cause.DNAT
    assert walkthrough[1][62761].joins == ()


def test_the_packet_without_addresses_is_placed_and_stays_without(walkthrough: Result) -> None:
    batch, paths, _ = walkthrough
    (row,) = np.flatnonzero(batch.packets["src_hi"] == NULL_U64)
    assert batch.packets["icmp_seq"][row] == 17208
    (hop,) = [hop for hop in paths[36215].hops if hop.placed]
    assert hop.placed == (row,)
    assert row in hop.rows
    assert any("has no addresses" in text for text in paths[36215].inferences)


def test_the_guest_clock_is_slow_and_the_server_clock_is_not_proven_off(
    walkthrough: Result,
) -> None:
    clocks = walkthrough[2]
    assert clocks["compute03"].evidence == "reference"
    guest = clocks["vm"]
    assert guest.samples == 2
    assert guest.offset_ns == pytest.approx(3_370_000_000, abs=20_000_000)
    assert guest.uncertainty_ns is not None
    assert 5_000_000 < guest.uncertainty_ns < 200_000_000
    server = clocks["serviceproxy01"]
    assert server.offset_ns == 0
    assert server.uncertainty_ns is not None
    assert server.uncertainty_ns > 140_000_000


def test_order_comes_from_ttl_and_macs_when_namespaces_are_not_given(captures: Path) -> None:
    files = sorted((captures / "walkthrough").glob("*.txt"))
    batch = read(files).batch
    batch.points = tuple(Point(host=p.host, device=p.device) for p in batch.points)
    paths, _ = flow_paths(batch)
    path = next(p for p in paths if any(hop.icmp_id == 36215 for hop in p.hops))
    requests = [device(batch, hop.point) for hop in path.hops if hop.direction == "request"]
    assert requests == ["ens3", "qr", "fpr", "enp175s0f1"]


def test_one_transcript_of_many_captures_says_the_same(captures: Path, tmp_path: Path) -> None:
    files = sorted((captures / "walkthrough").glob("*.txt"))
    (tmp_path / "ticket.txt").write_bytes(b"\n".join(path.read_bytes() for path in files))
    batch = read([tmp_path]).batch
    assert len(batch.captures) == 1
    assert needs_flow_paths(batch)
    paths, clocks = flow_paths(batch)
    joined = {frozenset(hop.icmp_id for hop in path.hops): len(path.joins) for path in paths}
    assert joined == {
        frozenset({22344, 36215}): 1, frozenset({62038}): 1, frozenset({62761}): 0,
        frozenset({35921}): 1, frozenset({59373}): 0,
    }  # fmt: skip
    (guest,) = [clock for clock in clocks if clock.offset_ns]
    assert guest.offset_ns == pytest.approx(3_370_000_000, abs=20_000_000)


periods = st.integers(200_000_000, 2_000_000_000)


@settings(max_examples=40, deadline=None)
@given(
    period=periods, start=st.integers(0, 10 * SECOND), new_id=st.integers(1, 65535),
    gap=st.integers(60, 600), count=st.integers(2, 5), seed=st.integers(0, 2**31),
    run=st.integers(5000, 200_000),
)  # fmt: skip
def test_a_rewritten_id_is_found_for_any_ping(
    period: int, start: int, new_id: int, gap: int, count: int, seed: int, run: int
) -> None:
    ping = Ping(22344, start, period)
    looks = [
        Look("qr", ping, run, count, 64),
        Look("fpr", ping, run + gap, count, 63, FIP, ident=new_id),
        Look("nic", ping, run + 2 * gap, count, 62, FIP, ident=new_id),
    ]
    batch = batch_of(looks, seed)
    assert needs_flow_paths(batch)
    paths, _ = flow_paths(batch)
    (path,) = paths
    assert [h.ttl for h in path.hops] == [64, 63, 62, 63, 62, 61]
    (join,) = path.joins
    assert join.period_ns == pytest.approx(period, rel=1e-3)
    assert join.evidence == ("same-id" if new_id == 22344 else "period")


@settings(max_examples=60, deadline=None)
@given(
    period=periods, other=periods, same_period=st.booleans(), later=st.floats(0.3, 900),
    gap=st.integers(60, 600), seed=st.integers(0, 2**31), run=st.integers(5000, 50_000),
)  # fmt: skip
def test_unrelated_pings_are_never_joined(
    period: int, other: int, same_period: bool, later: float, gap: int, seed: int, run: int
) -> None:
    other = period if same_period else other
    assume(same_period or abs(other / period - 1) > 0.2)
    one = Ping(22344, 0, period)
    two = Ping(500, int(later * max(period, other)), other)
    looks = [
        Look("qr", one, run, 3, 64),
        Look("fpr", two, run + gap, 3, 63, FIP, ident=36215),
        Look("nic", two, run + 2 * gap, 3, 62, FIP, ident=36215),
    ]
    paths, _ = flow_paths(batch_of(looks, seed))
    assert sorted(path.joins for path in paths) == [(), ()]


def test_two_that_fit_are_told_and_neither_is_taken() -> None:
    ping, twin = Ping(1, 0, SECOND), Ping(2, 1000, SECOND)
    looks = [Look("qr", ping, 9000, 3, 64)]
    for number, (each, ident) in enumerate(((ping, 700), (twin, 800))):
        looks.append(Look("fpr", each, 9100 + 100 * number, 3, 63, FIP, ident=ident))
        looks.append(Look("nic", each, 9300 + 100 * number, 3, 62, FIP, ident=ident))
    paths, _ = flow_paths(batch_of(looks, 1))
    assert [path.joins for path in paths] == [(), (), ()]
    assert sorted(len(path.ambiguities) for path in paths) == [1, 1, 2]
    conntrack = ConntrackEntry(
        Tuple(VM, SDATA, 1, icmp_id=1, icmp_type=8), Tuple(SDATA, FIP, 1, icmp_id=700, icmp_type=0)
    )
    paths, _ = flow_paths(batch_of(looks, 1), [conntrack])
    proofs = [join.evidence for path in paths for join in path.joins]
    assert proofs == ["conntrack"]


@pytest.mark.parametrize(("away_s", "evidence"), [(0, ["conntrack"]), (7200, []), (-7200, [])])
def test_an_entry_of_another_time_proves_nothing(away_s: int, evidence: list[str]) -> None:
    ping = Ping(1, 0, SECOND)
    looks = [Look("qr", ping, 9000, 3, 64), Look("fpr", ping, 9100, 3, 63, FIP, ident=700)]
    batch = batch_of(looks, 1)
    batch.packets["time_ns"] += 1_700_000_000 * SECOND
    entry = ConntrackEntry(
        Tuple(VM, SDATA, 1, icmp_id=1, icmp_type=8), Tuple(SDATA, FIP, 1, icmp_id=700, icmp_type=0)
    )
    log = [
        replace(entry, event=event, time_ns=(1_700_000_000 + at_s + away_s) * SECOND)
        for event, at_s in (("NEW", 8990), ("DESTROY", 9200))
    ]
    paths, _ = flow_paths(batch, log)
    found = [join.evidence for path in paths for join in path.joins]
    assert [name for name in found if name == "conntrack"] == evidence


def test_one_capture_a_side_is_not_enough() -> None:
    ping = Ping(1, 0, SECOND)
    looks = [
        Look("qr", ping, 9000, 2, 64),
        Look("fpr", ping, 9400, 2, 63, FIP, ident=700),
    ]
    paths, _ = flow_paths(batch_of(looks, 1))
    assert [path.joins for path in paths] == [(), ()]


@settings(max_examples=25, deadline=None)
@given(
    offset=st.integers(-50 * SECOND, 50 * SECOND), period=periods, seed=st.integers(0, 2**31)
)  # fmt: skip
def test_a_clock_is_found_within_its_uncertainty(offset: int, period: int, seed: int) -> None:
    ping = Ping(9, 0, period)
    looks = [
        Look("ens3", ping, 20_000, 3, 64, offset_ns=offset, host="vm"),
        Look("qr", ping, 20_300, 3, 64),
        Look("qr2", ping, 20_700, 3, 64),
        Look("qr3", ping, 20_900, 3, 64),
    ]
    paths, clocks = flow_paths(batch_of(looks, seed))
    assert len(paths) == 1
    assert "request hops" in paths[0].inferences[0]
    (guest,) = [clock for clock in clocks if clock.clock == "vm"]
    assert guest.uncertainty_ns is not None
    assert abs(guest.offset_ns + offset) <= guest.uncertainty_ns + 20_000_000


def test_a_sequence_that_wraps_and_one_that_began_anew() -> None:
    ping = Ping(9, 0, SECOND)
    wrapped = [Look("a", ping, 65_000, 2, 64), Look("b", ping, 66_000, 2, 63)]
    paths, _ = flow_paths(batch_of(wrapped, 1))
    assert [path.period_ns for path in paths] == [pytest.approx(SECOND, rel=1e-4)]
    anew = Ping(9, 65_100 * SECOND, SECOND)
    paths, _ = flow_paths(batch_of([wrapped[0], Look("b", anew, 66_000, 2, 63)], 1))
    assert len(paths) == 2


def test_tcp_flows_join_by_five_tuple_alone() -> None:
    records = []
    for capture, ttl in ((0, 64), (1, 63)):
        record = null_record(PACKET_DTYPE)
        record["src_hi"], record["src_lo"] = encode_ip(VM)
        record["dst_hi"], record["dst_lo"] = encode_ip(SDATA)
        record["proto"], record["sport"], record["dport"], record["tcp_flags"] = 6, 40000, 80, 16
        record["time_ns"], record["ttl"] = capture * 300 * SECOND, ttl
        record["capture"] = record["point"] = capture
        record["src_mac"] = encode_mac("02:00:00:00:00:01")
        records.append(record)
    batch = ObservationBatch(
        packets=np.concatenate(records),
        points=(Point(device="b"), Point(device="a")),
        captures=("b", "a"),
    )
    (path,), _ = flow_paths(batch)
    assert [(h.ttl, h.sport, h.dport, h.join) for h in path.hops] == [
        (64, 40000, 80, None), (63, 40000, 80, "five-tuple"),
    ]  # fmt: skip
    assert path.flow == f"{VM}:40000 > {SDATA}:80"


def test_conntrack_proves_a_port_where_no_ttl_was_printed() -> None:
    records = []
    for capture, (source, port) in enumerate(((VM, 40000), (FIP, 51234))):
        record = null_record(PACKET_DTYPE)
        record["src_hi"], record["src_lo"] = encode_ip(source)
        record["dst_hi"], record["dst_lo"] = encode_ip(SDATA)
        record["proto"], record["sport"], record["dport"] = 17, port, 53
        record["time_ns"] = capture * 300 * SECOND
        record["capture"] = record["point"] = capture
        records.append(record)
    points = (Point(device="qr"), Point(device="rfp"))
    batch = ObservationBatch(np.concatenate(records), points=points, captures=("a", "b"))
    entry = ConntrackEntry(
        Tuple(VM, SDATA, 17, 40000, 53), Tuple(SDATA, FIP, 17, 53, 51234), netns="qrouter"
    )
    assert len(flow_paths(batch)[0]) == 2
    (path,), _ = flow_paths(batch, [entry])
    assert path.joins[0].translation == "snat"
    assert path.hops[1].join == "conntrack"
    assert path.hops[1].cause == Cause.SNAT
    assert "order of the request hops is not proven" in path.inferences[1]


def test_nothing_is_nothing() -> None:
    assert flow_paths(ObservationBatch()) == ([], [])
    assert not needs_flow_paths(ObservationBatch())
