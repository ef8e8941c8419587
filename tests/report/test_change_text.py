"""Changes as JSON: what the columns of changes say, hop by hop."""

import json

import numpy as np
from made import batch_of, floating_ip, journey_set_of, web

from tracer.core.journeys import JourneySet
from tracer.core.values import journeys_of
from tracer.report.change_text import JSON_NAMES, ChangeTexts


def shown(journey_set: JourneySet, *hops: int) -> list[list[dict[str, object]]]:
    texts = ChangeTexts().of(journey_set, np.array(hops, np.int64)).to_pylist()
    return [json.loads(text) for text in texts]


def test_every_change_of_every_hop() -> None:
    for journey_set in (floating_ip(), web()):
        journeys = journeys_of(journey_set, np.arange(len(journey_set.journeys)))
        hops = [hop for journey in journeys for hop in journey.hops]
        for changes, hop in zip(shown(journey_set, *range(len(hops))), hops, strict=True):
            assert [tuple(change.values()) for change in changes] == [
                (JSON_NAMES.get(c.field, c.field), c.before, c.after, c.cause) for c in hop.changes
            ]


def test_texts_that_are_put_together_once_go_to_every_hop() -> None:
    journey_set = web()
    count = len(journey_set.hops)
    once = shown(journey_set, *range(count))
    assert shown(journey_set, *range(count), *range(count), *range(count)) == once * 3


def test_no_change_is_an_empty_list() -> None:
    assert shown(floating_ip(), 0, 1) == [[], []]
    assert shown(floating_ip()) == []


def test_a_length_is_called_as_the_hop_calls_it() -> None:
    batch = batch_of([{"time_ns": 1, "ip_len": 100}, {"time_ns": 2, "ip_len": 90}])
    (_, (change,)) = shown(journey_set_of(batch, [{"rows": [0, 1]}]), 0, 1)
    assert change == {"field": "len", "from": 100, "to": 90, "cause": None}


def test_addresses_that_change_in_one_half_are_told_apart_by_the_other() -> None:
    # NPTv6 (RFC 6296) leaves the host's half alone, a NAT within one network the other half.
    ways = [
        ("fd00::2", "2001:db8::2"), ("fd00::15", "2001:db8::15"),
        ("fd00::5", "fd00::6"), ("2001:db8::5", "2001:db8::6"),
    ]  # fmt: skip
    rows = [
        {"time_ns": k, "ip_version": 6, "src": address}
        for k, address in enumerate(address for way in ways for address in way)
    ]
    journeys = [{"rows": [2 * k, 2 * k + 1]} for k in range(len(ways))]
    found = shown(journey_set_of(batch_of(rows), journeys), *range(1, 2 * len(ways), 2))
    assert [[(change["from"], change["to"]) for change in changes] for changes in found] == [
        [way] for way in ways
    ]


def test_texts_are_kept_from_one_part_of_the_journeys_to_the_next() -> None:
    texts = ChangeTexts()
    for journey_set in (web(), floating_ip(), web()):
        hops = np.arange(len(journey_set.hops))
        assert texts.of(journey_set, hops).to_pylist() == (
            ChangeTexts().of(journey_set, hops).to_pylist()
        )
