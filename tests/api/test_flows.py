"""Flows and their paths against the sender's log, conntrack's dumps and plain pandas."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import tracer
from tracer.sources.conntrack import read_conntrack_folder

SCENES = ["east-west", "fip-inbound", "fip-outbound", "snat-centralized"]
KEPT = ["ttl", "src", "dst", "vlan"]


@pytest.mark.parametrize("scene", SCENES)
def test_a_path_is_the_one_the_packets_were_sent_along(captures: Path, scene: str) -> None:
    truth = json.loads((captures / scene / "truth.json").read_text())
    found = tracer.read(captures / scene, proto="icmp")
    flows = found.flows
    assert len(flows)
    for flow in flows["flow"]:
        path = found.path(flow)
        for way in ("request", "reply"):
            mine = path[path["way"] == way]
            hops = truth["paths"][f"{scene}/{way}"]
            assert mine["n"].tolist() == list(range(1, len(hops) + 1))
            assert mine["device"].tolist() == [hop["device"] for hop in hops]
            assert mine["host"].tolist() == [hop["host"] for hop in hops]
            for name in KEPT:
                values = [None if pd.isna(value) else value for value in mine[name]]
                assert values == [hop[name] for hop in hops], name


def test_losses_are_where_the_sender_lost_them(captures: Path) -> None:
    for scene in SCENES:
        truth = json.loads((captures / scene / "truth.json").read_text())
        names = {hop["device"]: hop["name"] for hops in truth["paths"].values() for hop in hops}
        sent = Counter(packet["lost_after"] for packet in truth["packets"] if packet["lost_after"])
        path = tracer.read(captures / scene).path().query("lost > 0")
        lost: Counter[str] = Counter()
        for device, count in zip(path["device"], path["lost"], strict=True):
            lost[names[device]] += count
        assert lost == sent, scene
        assert (path["loss"] == path["lost"] / path["packets"]).all()


@pytest.mark.parametrize("scene", [*SCENES, "two-tenants"])
def test_translated_flows_are_those_conntrack_says(captures: Path, scene: str) -> None:
    entries, _ = read_conntrack_folder(captures / scene)
    known = set()
    for entry in entries:
        one, other = entry.original, entry.reply.reversed()
        ends = [(each.src, each.dst, each.icmp_id) for each in (one, other)]
        if ends[0] != ends[1]:
            known.add((*ends[0], *ends[1]))
    flows = tracer.read(captures / scene).flows.query("translated")
    names = ["src", "dst", "icmp_id", "nat_src", "nat_dst", "nat_icmp_id"]
    mine = {
        tuple(None if pd.isna(value) else value for value in row)
        for row in flows[names].itertuples(index=False)
    }
    assert mine == known
    assert bool(mine) == (scene != "east-west")


def test_percentiles_are_those_of_the_hops(outbound: tracer.JourneyFrames) -> None:
    ways = outbound.journeys.set_index("journey")["way"]
    hops = outbound.hops.assign(way=outbound.hops["journey"].map(ways))
    groups = hops.groupby(["flow", "way", "point"], observed=True)["delta"]
    path = outbound.path().set_index(["flow", "way", "point"])
    assert len(path) == len(groups)
    assert len(path)
    for key, deltas in groups:
        row: Any = path.loc[key]
        known = sorted(delta for delta in deltas if not pd.isna(delta))
        if not known:
            assert pd.isna(row["p50"])
            continue
        # Nearest rank: half of them, rounded up, do not exceed the median.
        assert row["p50"] == known[(len(known) + 1) // 2 - 1]
        assert row["max"] == known[-1]
        assert row["p50"] <= row["p90"] <= row["p99"] <= row["max"]


def test_flows_count_their_journeys(outbound: tracer.JourneyFrames) -> None:
    flows = outbound.flows.set_index("flow")
    journeys = outbound.journeys.groupby("flow")
    assert flows["journeys"].to_dict() == journeys.size().to_dict()
    outcomes = outbound.journeys.groupby(["flow", "outcome"], observed=False).size().unstack()
    assert flows["delivered"].to_dict() == outcomes["delivered"].to_dict()
    assert flows["lost"].to_dict() == outcomes["vanished"].to_dict()
    assert flows["first_time"].to_dict() == journeys["first_time"].min().to_dict()
    assert flows["last_time"].to_dict() == journeys["last_time"].max().to_dict()
    assert (flows["rtt_p50"] <= flows["rtt_p99"]).all()


def test_every_journey_of_a_flow_goes_one_way(outbound: tracer.JourneyFrames) -> None:
    journeys = outbound.journeys.query("flow.notna()")
    assert journeys["way"].notna().all()
    pairs = journeys.dropna(subset="reply")[["journey", "reply"]]
    ways = journeys.set_index("journey")["way"].astype(str)
    for one, other in pairs.itertuples(index=False):
        assert ways[one] != ways[other]


def test_a_flow_that_is_none(outbound: tracer.JourneyFrames) -> None:
    with pytest.raises(KeyError):
        outbound.path(len(outbound.flows) + 1)
    with pytest.raises(KeyError):
        outbound.select(proto="arp").path(
            int(outbound.flows.query("proto == 'udp'")["flow"].iloc[0])
        )


def test_flow_paths_are_a_row_a_capture(walkthrough: tracer.JourneyFrames) -> None:
    found = walkthrough.flow_paths
    paths = walkthrough.journey_set.flow_paths
    assert len(found) == sum(len(path.hops) for path in paths)
    assert found["packets"].sum() == sum(len(hop.rows) for path in paths for hop in path.hops)
    by_path = found.groupby(["flow_path", "way"], observed=True)
    assert (by_path["n"].max() == by_path.size()).all()
    chosen = found[found["flow"].str.contains("36215")]
    translated = chosen[chosen["cause"] == "snat"]
    assert translated["icmp_id"].tolist() == [36215]
    assert translated["join"].tolist() == ["inferred"]


def test_clocks_say_what_was_added(walkthrough: tracer.JourneyFrames) -> None:
    clocks = walkthrough.clocks.set_index("clock")
    # The captures' README: the VM's clock is about 3.37 s slow.
    assert abs(clocks["offset"]["vm"].total_seconds() - 3.37) < 0.1
    assert clocks["uncertainty"]["vm"] > pd.Timedelta(0)
