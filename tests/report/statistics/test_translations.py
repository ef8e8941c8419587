"""Translations against the changes the JSON lines tell."""

from collections import Counter
from pathlib import Path
from typing import Any

from tracer.cli.offline import joined
from tracer.core.journeys import JourneySet
from tracer.report.statistics.places import places_of
from tracer.report.statistics.translations import translations_of


def test_translations(recorded: JourneySet, lines: list[dict[str, Any]]) -> None:
    expected: Counter[Any] = Counter()
    ports: Counter[Any] = Counter()
    for journey in lines:
        for hop in journey["hops"]:
            if "nat" not in (hop["cause"] or ""):
                continue
            before = journey["hops"][hop["parent"] - 1]
            key = (hop["cause"], before["device"], hop["device"], (before["src"], before["dst"]),
                   (hop["src"], hop["dst"]))  # fmt: skip
            expected[key] += 1
            ports[key] += any(
                None not in (before[name], hop[name]) and before[name] != hop[name]
                for name in ("sport", "dport", "icmp_id")
            )
    places = places_of(recorded.observations.points)
    found = translations_of(recorded, places)
    names = [place.name for place in places.places]
    keyed = {(t.cause, names[t.origin], names[t.target], t.before, t.after): t for t in found}
    assert {key: each.packets for key, each in keyed.items()} == dict(expected)
    assert {key: each.ports for key, each in keyed.items()} == {key: ports[key] for key in keyed}
    for each in found:
        assert sum(number for _, number in each.evidence) == each.packets
        assert each.undone == each.cause.startswith("un-")
        assert [rule.action for rule in each.rules] == [each.cause.removeprefix("un-")]


def test_translations_of_flow_paths_are_inferred(captures: Path) -> None:
    whole = joined([str(captures / "walkthrough")], {}, ())
    found = translations_of(whole, places_of(whole.observations.points))
    assert found
    assert all(each.is_inferred and len(each.rules) == 1 for each in found)
    assert {each.rules[0].text.rpartition(" -j ")[2] for each in found} == {
        "DNAT [unsupported revision]", "SNAT --to-source 100.122.0.145 --random-fully",
    }  # fmt: skip
