"""Conntrack as proof: every form of it proves the same joins, and none beyond an entry's time."""

from dataclasses import replace

import numpy as np
import pytest
from scenarios.catalogue import make
from scenarios.catalogue.conntrack import PORT
from scenarios.conntrack_text import FORMS, printed
from scenarios.scenario import Scenario
from scenarios.scoring import claims, score

from tracer.core.conntrack import ConntrackEntry
from tracer.core.enums import Evidence
from tracer.core.journeys import JourneySet
from tracer.correlate.join import join
from tracer.sources.conntrack import read_conntrack

SECOND = 1_000_000_000
HOUR_NS = 3600 * SECOND
SCALE = 0.2


def logged(scenario: Scenario) -> list[ConntrackEntry]:
    """Return the dump of a scenario as the event log of one who listened from before it on."""
    first = int(scenario.truth.true_ns.min())
    return [replace(entry, event="NEW", time_ns=first) for entry in scenario.conntrack]


def journeys(found: JourneySet) -> set[tuple[int, ...]]:
    parts = np.split(found.hops["row"], found.journeys["first_hop"][1:])
    return {tuple(part.tolist()) for part in parts}


def proven(found: JourneySet) -> int:
    return int((found.hops["evidence"] == Evidence.CONNTRACK).sum())


# XML has no ids of ICMP entries.
PROVEN = ("udp_equal_conntrack", "icmp_equal_conntrack", "icmp6_equal_conntrack",
          "snat_dvr_conntrack")  # fmt: skip
CASES = [(n, f) for n in PROVEN for f in FORMS if not (f == "xml" and n.startswith("icmp"))]


@pytest.mark.parametrize(("name", "form"), CASES)
def test_every_form_proves_the_same(name: str, form: str) -> None:
    scenario = make(name, 5, SCALE)
    entries = logged(scenario) if form == "events" else scenario.conntrack
    read, warnings = read_conntrack(printed(entries, form), host="host0")
    found, wanted = join(scenario.batch, read), join(scenario.batch, scenario.conntrack)
    assert [w for w in warnings if w.kind != "icmp-id-absent"] == []
    assert score(scenario, found).problems == ()
    assert journeys(found) == journeys(wanted)
    echoes = ~np.isin(scenario.batch.packets["proto"][wanted.hops["row"]], (1, 58))
    told = echoes if form == "xml" else np.ones(len(echoes), bool)
    assert np.array_equal(found.hops["evidence"][told], wanted.hops["evidence"][told])
    assert proven(found) > 0


def test_a_log_in_text_is_the_log() -> None:
    scenario = make("conntrack_reuse", 5, SCALE)
    read, warnings = read_conntrack(printed(scenario.conntrack, "events"), host="host0")
    assert warnings == []
    found, wanted = join(scenario.batch, read), join(scenario.batch, scenario.conntrack)
    assert journeys(found) == journeys(wanted)
    assert score(scenario, found).problems == ()
    assert proven(found) == proven(wanted) > 0


@pytest.mark.parametrize("away_ns", [-HOUR_NS, HOUR_NS])
def test_an_entry_of_another_time_is_no_proof(away_ns: int) -> None:
    scenario = make("conntrack_reuse", 5, SCALE)
    moved = [replace(e, time_ns=(e.time_ns or 0) + away_ns) for e in scenario.conntrack]
    assert proven(join(scenario.batch, scenario.conntrack)) > 0
    assert proven(join(scenario.batch, moved)) == 0


def of_reused_ports(found: JourneySet) -> int:
    """Return how many joins of the heartbeats conntrack proves."""
    packets = found.observations.packets[found.hops["row"]]
    heartbeats = (packets["sport"] == PORT) | (packets["dport"] == PORT)
    return int((found.hops["evidence"][heartbeats] == Evidence.CONNTRACK).sum())


def test_where_a_log_may_be_of_either_clock_only_what_both_allow_is_proven() -> None:
    # Nobody says whose log it is, and one of the clocks is off by more than a port is free: the
    # last user of each port came after all others had gone, by either clock.
    scenario = make("conntrack_reuse", 5, SCALE)
    batch = scenario.batch.take(np.arange(len(scenario.batch)))
    far = np.array([point.host == "host1" for point in batch.points])[batch.packets["point"]]
    batch.packets["time_ns"][far] += HOUR_NS
    unknown = [replace(entry, host=None) for entry in scenario.conntrack]
    known, found = join(batch, scenario.conntrack), join(batch, unknown)
    assert 0 < of_reused_ports(found) < of_reused_ports(known)
    _, right, later = claims(scenario.truth, found)
    assert right[found.hops["evidence"][later] == Evidence.CONNTRACK].all()


def test_log_and_stamps_of_one_clock_may_be_off_together() -> None:
    scenario = make("conntrack_reuse", 5, SCALE)
    batch = scenario.batch.take(np.arange(len(scenario.batch)))
    near = np.array([point.host == "host0" for point in batch.points])[batch.packets["point"]]
    batch.packets["time_ns"][near] += HOUR_NS
    log = [replace(e, time_ns=(e.time_ns or 0) + HOUR_NS) for e in scenario.conntrack]
    found = join(batch, log)
    assert journeys(found) == journeys(join(scenario.batch, scenario.conntrack))
    assert proven(found) == proven(join(scenario.batch, scenario.conntrack))


def dumped(scenario: Scenario) -> list[ConntrackEntry]:
    """Return dumps with the kernel's stamps in place of a log: who has each tuple, and since when.

    Each entry was dumped while it was there, so that none says when it ended.
    """
    made = [e for e in scenario.conntrack if e.event == "NEW"]
    return [replace(e, event=None, start_ns=e.time_ns, time_ns=None) for e in made]


def test_stamps_of_the_kernel_limit_a_proof_as_a_log_does() -> None:
    scenario = make("conntrack_reuse", 5, SCALE)
    ends = {(e.original, e.reply): e.time_ns for e in scenario.conntrack if e.event == "DESTROY"}
    starts = dumped(scenario)
    whole = [replace(e, event="DESTROY", stop_ns=ends[e.original, e.reply]) for e in starts]
    by_log, by_stamps, by_starts = (
        join(scenario.batch, some) for some in (scenario.conntrack, whole, starts)
    )
    assert journeys(by_stamps) == journeys(by_log)
    assert of_reused_ports(by_stamps) == of_reused_ports(by_log)
    # Where nobody says when the one before had gone, the packet that made an entry is unproven.
    assert score(scenario, by_starts).problems == ()
    assert 0 < of_reused_ports(by_starts) < of_reused_ports(by_log)


def local(entries: list[ConntrackEntry], offset_ns: int) -> list[ConntrackEntry]:
    whole = [(e.start_ns or 0) // SECOND * SECOND for e in entries]
    return [
        replace(e, start_ns=start + offset_ns, is_local=True)
        for e, start in zip(entries, whole, strict=True)
    ]


@pytest.mark.parametrize("offset_ns", [0, 11 * HOUR_NS // 2, -8 * HOUR_NS])
def test_the_zone_of_local_stamps_is_told_by_the_packets_that_made_entries(offset_ns: int) -> None:
    scenario = make("conntrack_reuse", 5, SCALE)
    entries = dumped(scenario)
    found, wanted = (
        join(scenario.batch, some) for some in (local(entries, offset_ns), local(entries, 0))
    )
    assert score(scenario, found).problems == ()
    assert journeys(found) == journeys(wanted)
    assert of_reused_ports(found) == of_reused_ports(wanted) > 0


def test_local_stamps_of_no_zone_are_left_aside() -> None:
    scenario = make("conntrack_reuse", 5, SCALE)
    entries = dumped(scenario)
    bare = join(scenario.batch, [replace(entry, start_ns=None) for entry in entries])
    for offset_ns in (7 * 60 * SECOND, 20 * HOUR_NS):  # no zone is that far away
        found = join(scenario.batch, local(entries, offset_ns))
        assert journeys(found) == journeys(bare)
        assert proven(found) == proven(bare)


def test_one_entry_of_many_that_fits_a_zone_by_chance_tells_none() -> None:
    scenario = make("conntrack_reuse", 5, SCALE)
    entries = dumped(scenario)
    by_chance = local([replace(entries[0], start_ns=(entries[0].start_ns or 0) - HOUR_NS)], 0)
    before = local(entries[1:], -(5 * HOUR_NS + 400 * SECOND))  # long before the captures
    bare = join(scenario.batch, [replace(entry, start_ns=None) for entry in entries])
    assert proven(join(scenario.batch, [*by_chance, *before])) == proven(bare)
