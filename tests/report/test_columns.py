"""Arrow columns hold what the values of observations are, field by field."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from made import batch_of, floating_ip_rows

from tracer.core.enums import Decode, Encap, Kind
from tracer.core.observation import OBSERVATION_FIELDS
from tracer.core.values import observations_of
from tracer.report.columns import distinct_values, integers, labels, observation_column, taken

MIXED = [
    *floating_ip_rows(),
    {},
    {"src": "2001:db8::1", "dst": "::", "ip_version": 6, "decode": Decode.TRUNCATED},
    {"encap": Encap.GENEVE, "vni": 7, "outer_src": "10.0.0.1", "df": 0, "more_fragments": 1},
    {"arp_op": 1, "arp_sender_mac": "02:00:00:00:00:01", "arp_target_ip": "10.0.0.9"},
    {"skb": 0xFFFF_8881_0000_1000, "mark": 1 << 31, "ct_original_src": "10.0.0.1"},
]


def test_every_column_equals_the_observations() -> None:
    batch = batch_of(MIXED)
    rows = np.arange(len(MIXED))[::-1]
    seen = observations_of(batch, rows)
    for name in OBSERVATION_FIELDS:
        column = observation_column(batch, name, rows).to_pylist()
        assert column == [getattr(observation, name) for observation in seen], name


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers((1 << 64) - 3, (1 << 64) - 1)), min_size=1)
)
def test_distinct_values_name_every_row(pairs: list[tuple[int, int]]) -> None:
    stored = tuple(np.array(part, np.uint64) for part in zip(*pairs, strict=True))
    codes, distinct = distinct_values(stored)
    assert [distinct[code] for code in codes] == pairs
    assert len(set(distinct)) == len(distinct)


def test_texts_are_taken_by_index_and_kept_once() -> None:
    array = taken(["a", None, "a", "b"], np.array([0, 1, 2, 3, -1]))
    assert array.to_pylist() == ["a", None, "a", "b", None]
    assert array.dictionary.to_pylist() == ["a", "b"]


def test_integers_from_one() -> None:
    assert integers(np.array([-1, 0, 5], np.int32), -1, add=1).to_pylist() == [None, 1, 6]


def test_labels_know_only_members() -> None:
    values = np.array([Kind.UDP, -1, 99, Kind.OTHER], np.int8)
    assert labels(Kind, values).to_pylist() == ["udp", None, None, "other"]
