"""What happens between points, against what the simulated network did and what tshark says."""

import subprocess
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from scenarios.catalogue import make
from scenarios.clocks import EPOCH
from scenarios.elements import Link, Tap, mac_of
from scenarios.pcap import write_pcaps
from scenarios.places import EXTERNAL, FIXED, line
from scenarios.scenario import Scenario
from scenarios.traffic import MILLI, datagrams, pings
from scenarios.world import World

import tracer
from tracer.core.enums import Event, Kind, Outcome
from tracer.core.journeys import JourneySet
from tracer.core.segments import segment_events
from tracer.correlate.join import join

LOSSY = [("loss", 3), ("tcp_retransmissions", 4), ("tcp_retransmissions", 5)]
WIRE = ("enp175s0f1", "core1")  # the ends of the link that loses


def places(found: JourneySet, event: Event) -> Counter[tuple[str, str]]:
    """Return how often an event happened between the devices of two points."""
    events = segment_events(found)
    events = events[events["event"] == event]
    names = [*(str(point.device) for point in found.observations.points), "?"]
    return Counter(
        (names[a], names[b]) for a, b in zip(events["from_point"], events["to_point"], strict=True)
    )


@pytest.mark.parametrize(
    ("name", "seed"), [("loss", 3), ("tcp_retransmissions", 5), ("tcp_retransmissions", 4)]
)
def test_losses_lie_where_the_network_lost(name: str, seed: int) -> None:
    scenario = make(name, seed)
    found = join(scenario.batch, scenario.conntrack)
    after = Counter(scenario.truth.lost_after[scenario.truth.lost_after >= 0].tolist())
    devices = {n: point.device for n, point in enumerate(scenario.batch.points)}
    assert {devices[n] for n in after} == set(WIRE)
    said = places(found, Event.LOST)
    assert said == {
        (devices[n], next(end for end in WIRE if end != devices[n])): count
        for n, count in after.items()
    }


@pytest.mark.parametrize(
    ("name", "seed"), [("loss", 3), ("tcp_retransmissions", 5), ("tcp_retransmissions", 4)]
)
def test_what_was_sent_again_is_counted_where_it_was_lost(name: str, seed: int) -> None:
    scenario = make(name, seed)
    truth, batch = scenario.truth, scenario.batch
    found = join(batch, scenario.conntrack)
    first = np.full(len(truth.lost_after), -1)
    first[truth.packet[::-1]] = np.arange(len(batch))[::-1]
    p = batch.packets
    # TCP repeats what takes sequence numbers; the generator sends bare ACKs again, too.
    counts = (p["payload_len"] > 0) | (p["tcp_flags"] & 0x03 > 0)
    again = np.flatnonzero(truth.retransmission_of >= 0)
    again = again[(first[again] >= 0) & counts[first[again]]]
    after = Counter(truth.lost_after[truth.retransmission_of[again]].tolist())
    assert min(after) >= 0
    said = Counter[str]()
    for (origin, _), number in places(found, Event.RESENT).items():
        said[origin] += number
    assert said == {str(batch.points[n].device): number for n, number in after.items()}


def test_what_was_lost_before_a_capture_began_was_on_its_way_beyond_it() -> None:
    world = World(5)
    chain = line(world, 6)
    wire = chain.elements[chain.elements.index(Tap(4, mac_of(5))) - 1]
    assert isinstance(wire, Link)
    wire.loss = 0.3  # between dev3 and dev4
    began = EPOCH + 2_000 * MILLI
    world.captures[3].start_ns = began
    world.run(chain, datagrams(world, FIXED, EXTERNAL, 900, gap_ns=MILLI))
    # A flow most of which comes later, so that most of it was seen at dev3.
    world.run(chain, pings(world, FIXED, EXTERNAL, 200, gap_ns=20 * MILLI, start_ns=800 * MILLI))
    scenario = world.finish("late")
    found = join(scenario.batch)
    events = segment_events(found)
    events = events[(events["event"] == Event.LOST) & (events["to_point"] >= 0)]  # not unanswered
    journeys = found.journeys[events["journey"]]
    late = journeys["first_ns"] > began
    pinged = journeys["kind"] == Kind.ECHO_REQUEST
    assert min((late & pinged).sum(), (~late & pinged).sum(), (~pinged).sum()) > 10
    names = [point.device for point in found.observations.points]
    for which, ends in ((late, ("dev3", "dev4")), (~late, ("dev2", "dev4"))):
        steps = zip(events["from_point"][which], events["to_point"][which], strict=True)
        assert {(names[a], names[b]) for a, b in steps} == {ends}


def overtaken(scenario: Scenario, origin: int, target: int) -> Counter[int]:
    """Return packets by flow that arrived after one that left later (RFC 4737), one by one."""
    truth, point = scenario.truth, scenario.batch.packets["point"]
    left, arrived = ({} for _ in range(2))
    for times, at in ((left, origin), (arrived, target)):
        for row in np.flatnonzero(point == at).tolist():
            times[int(truth.packet[row])] = int(scenario.batch.packets["time_ns"][row])
    flow = {int(truth.packet[row]): int(scenario.meta["flow"][row]) for row in range(len(point))}
    latest: defaultdict[int, int] = defaultdict(int)
    found = Counter[int]()
    for packet in sorted(set(left) & set(arrived), key=lambda each: arrived[each]):
        if arrived[packet] < left[packet]:
            continue  # it goes the other way
        found[flow[packet]] += left[packet] < latest[flow[packet]]
        latest[flow[packet]] = max(latest[flow[packet]], left[packet])
    return +found


def test_overtaken_packets_are_those_that_came_late() -> None:
    scenario = make("tcp_out_of_order", 3)
    found = join(scenario.batch, scenario.conntrack)
    said = places(found, Event.OVERTAKEN)
    devices = [point.device for point in scenario.batch.points]
    for origin, target in ((1, 2), (3, 4)):  # the two links that shake, one way; the other is idle
        truth = overtaken(scenario, origin, target)
        assert said[str(devices[origin]), str(devices[target])] == truth.total() > 100
    assert said.total() == sum(said[pair] for pair in (("b", "c"), ("d", "e")))
    assert not places(join(make("snat_dvr", 3).batch), Event.OVERTAKEN)


def test_packets_alike_are_not_said_to_be_overtaken() -> None:
    world = World(7)
    chain = line(world, 6, per_host=2)
    for link in (each for each in chain.elements if isinstance(each, Link)):
        link.jitter_ns, link.loss = 30_000, 0.05  # in order
    alike = datagrams(world, FIXED, EXTERNAL, 400, gap_ns=5_000, size=40, constant=True, ids="zero")
    world.run(chain, alike)
    found = join(world.finish("alike").batch)
    assert (found.journeys["ambiguous"] == 1).sum() > 50
    assert not places(found, Event.OVERTAKEN)


def test_what_a_capture_missed_is_not_lost() -> None:
    found = join(make("everything", 5).batch)
    events = segment_events(found)
    missed = found.journeys["outcome"] == Outcome.LOST_BY_TRACER
    ended = events[np.isin(events["event"], (Event.LOST, Event.MISSED))]
    assert set(ended["journey"][ended["event"] == Event.MISSED]) == set(np.flatnonzero(missed))
    assert not missed[ended["journey"][ended["event"] == Event.LOST]].any()
    assert missed.any()


def retransmitted(capture: Path, source: str) -> set[int]:
    """Return the numbers of frames from a port that tshark calls sent again.

    After a handshake that took long it calls them out of order: to its sender none of them is.
    """
    again = f"(tcp.analysis.retransmission || tcp.analysis.out_of_order) && {source}"
    command = ["tshark", "-r", str(capture), "-Y", again, "-T", "fields", "-e", "frame.number"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {int(number) for number in printed.split()}


def test_tshark_finds_the_same_sent_again(tmp_path: Path) -> None:
    # tshark sees one capture: at the sender's all that is sent again, wherever the first was lost.
    scenario = make("tcp_retransmissions", 5)
    captures = write_pcaps(scenario, tmp_path)
    found = tracer.read(*captures).journey_set
    events = segment_events(found)
    again = events["journey"][events["event"] == Event.RESENT]
    names = found.observations.captures
    both = set()
    for capture, port in ((captures[0], "tcp.dstport == 443"), (captures[7], "tcp.srcport == 443")):
        rows = found.hops["row"][found.journeys["first_hop"][again]]
        packets = found.observations.packets[rows]
        mine = np.array([names[n].endswith(capture.name) for n in packets["capture"]])
        said = retransmitted(capture, port)
        assert set(packets["frame"][mine].tolist()) == said
        assert len(said) > 10
        both |= set(again[mine].tolist())
    assert both == set(again.tolist())
    repeats = found.journeys["retransmission_of"] >= 0
    assert set(again.tolist()) == set(np.flatnonzero(repeats).tolist())
    assert (found.journeys["kind"][again] != Kind.TCP_ACK).all()


def test_tshark_finds_what_a_kernel_sent_again(captures: Path) -> None:
    # A segment dropped on purpose between two devices of the lab, and sent again by Linux.
    found = tracer.read(captures / "fip-outbound").journey_set
    events = segment_events(found)
    (again,) = events[events["event"] == Event.RESENT]
    row = found.hops["row"][found.journeys["first_hop"][again["journey"]]]
    packet = found.observations.packets[row]
    name = found.observations.captures[packet["capture"]]
    assert retransmitted(captures / "fip-outbound" / name, "tcp.dstport == 8080") == {
        int(packet["frame"])
    }
    (lost,) = events[events["event"] == Event.LOST]
    ends = [lost[end] for end in ("from_point", "to_point")]
    assert [again[end] for end in ("from_point", "to_point")] == ends
    assert [found.observations.points[end].device for end in ends] == [
        "fpr-b6a86b9f-6", "fg-2417e6fb-ee",
    ]  # fmt: skip
