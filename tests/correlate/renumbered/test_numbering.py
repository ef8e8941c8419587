"""What is shown of renumbered TCP: the numbers as they were seen, and what the joins rest on."""

import numpy as np
import pytest
from scenarios.catalogue import make
from scenarios.places import EXTERNAL
from scenarios.renumbering import Numbers, Shift, behind_firewall
from scenarios.scenario import Scenario
from scenarios.scoring import claims, score
from scenarios.special import errors
from scenarios.traffic import ACK, PSH, Tcp
from scenarios.windows import split
from scenarios.world import World

from tracer.core.changes import changes_at
from tracer.core.enums import Evidence
from tracer.core.journeys import JourneySet
from tracer.correlate.explain_joins import explain_joins
from tracer.correlate.hops.confidence import RENUMBERED, counted_on
from tracer.correlate.join import join
from tracer.correlate.windows.stream import join_windows


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return make("renumbered", 5, 0.3)


@pytest.fixture(scope="module")
def found(scenario: Scenario) -> JourneySet:
    return join(scenario.batch)


def through(found: JourneySet) -> np.ndarray:
    return np.flatnonzero(found.hops["evidence"] == Evidence.RENUMBERED)


def test_numbers_are_shown_as_they_were_seen(scenario: Scenario, found: JourneySet) -> None:
    before = make("renumbered", 5, 0.3).batch
    assert found.observations is scenario.batch
    assert scenario.batch.packets.tobytes() == before.packets.tobytes()
    seen = {change.field for change in changes_at(found, through(found))}
    assert {"tcp_seq", "tcp_ack", "ttl"} <= seen


def test_only_the_step_through_the_firewall_says_so(found: JourneySet) -> None:
    points = np.array([f"{p.host} {p.device}" for p in found.observations.points])
    at = points[found.observations.packets["point"][found.hops["row"]]]
    of = through(found)
    assert len(of) == len(found.journeys)
    assert set(zip(at[of - 1], at[of], strict=True)) == {
        ("firewall inside", "firewall outside"), ("firewall outside", "firewall inside"),
    }  # fmt: skip


def test_its_confidence_is_what_was_counted(found: JourneySet) -> None:
    confidence = found.hops["confidence"][through(found)]
    assert (confidence <= np.float32(RENUMBERED)).all()
    joins, wrong = counted_on(float(confidence[0]))
    assert joins > 1000
    assert 0.99 < RENUMBERED < 1 - wrong / joins


def test_a_reason_names_the_numbers_that_changed(found: JourneySet) -> None:
    data = np.flatnonzero(found.observations.packets["payload_len"][found.hops["row"]] > 0)
    journey = int(found.hops["journey"][data[0]])
    reasons = explain_joins(found, journey)
    assert [reason.evidence for reason in reasons] == ["fingerprint", "renumbered", "fingerprint"]
    assert {"tcp_seq", "tcp_ack"} <= set(reasons[1].changed)
    assert not {"tcp_seq", "tcp_ack"} & set(reasons[0].changed + reasons[2].changed)
    assert {"ip_id", "payload_digest", "tcp_tsval"} <= set(reasons[1].kept)


@pytest.mark.parametrize("shifts_quotes", [False, True])
def test_an_error_names_the_packet_it_is_about(shifts_quotes: bool) -> None:
    world = World(6)
    shift = Shift(world.rng)
    chain = behind_firewall(world, None, shift)
    everyone = np.arange(8)
    tcp = Tcp.open(world, chain, 8, src="10.8.0.1", dst=EXTERNAL)
    tcp.talk(4)
    arrived = tcp.send(0, everyone, ACK | PSH, 700)
    about = errors(world, arrived, EXTERNAL)
    if shifts_quotes:  # the firewall undoes in the quote what it did to the packet
        inside = next(e for e in chain.elements if isinstance(e, Numbers) and not e.end)
        at = list(chain.elements).index(inside)
        right, left = chain.elements[at + 1 :], chain.elements[:at]
        for element in right[::-1]:
            about = element.cross(world, about, 1)
        quoted = about.sections["quoted"]
        by = shift.of(about.meta["flow"])[:, 0]
        quoted["inner_tcp_seq"] = (quoted["inner_tcp_seq"] + by) & 0xFFFFFFFF
        for element in left[::-1]:
            about = element.cross(world, about, 1)
    else:  # seen on the server's side only
        outside = [e for e in chain.elements if not isinstance(e, Numbers)][-3:]
        for element in outside[::-1]:
            about = element.cross(world, about, 1)
    scenario = world.finish("quoting")
    assert score(scenario, join(scenario.batch)).quotes_right == 1


def test_windows_join_it_too(scenario: Scenario) -> None:
    captures = split(scenario.batch, 200)
    parts = list(join_windows(captures, rows=len(scenario.batch) // 2))
    assert sum(len(through(part)) for part in parts) > 0.9 * len(through(join(scenario.batch)))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["renumbered_nat", "renumbered_syn_proxy_nat"])
def test_rows_in_any_order_give_the_same(name: str, seed: int) -> None:
    scenario = make(name, seed, 0.2)
    order = np.random.default_rng(seed).permutation(len(scenario.batch))
    found = join(scenario.batch.take(order))
    one = join(scenario.batch)
    assert len(found.journeys) == len(one.journeys)
    assert np.sort(found.hops["evidence"]).tolist() == np.sort(one.hops["evidence"]).tolist()
    assert claims(scenario.truth, one)[1].all()
