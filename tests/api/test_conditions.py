from ipaddress import ip_address, ip_network
from typing import Any

import numpy as np
import pytest

import tracer
from tracer.api.conditions import flow_filter, words_of
from tracer.core.errors import InputError
from tracer.core.filter import FlowFilter


def test_one_value_is_the_same_as_a_list_of_it() -> None:
    one = flow_filter({"host": "10.0.0.1", "port": 80, "proto": "TCP"})
    assert one == flow_filter({"host": ["10.0.0.1"], "port": (80,), "proto": 6})
    assert one == FlowFilter(host=("10.0.0.1",), port=(80,), proto=6)


def test_nothing_given_is_no_condition() -> None:
    assert flow_filter({}).is_empty
    assert flow_filter({"icmp_id": None, "proto": None, "host": (), "port": []}).is_empty


@pytest.mark.parametrize(
    ("conditions", "word"),
    [
        ({"host": "10.0.0"}, "10.0.0"),
        ({"src": ["10.0.0.1", "x"]}, "'x'"),
        ({"port": 65536}, "65536"),
        ({"sport": [1, -1]}, "-1"),
        ({"icmp_id": 1 << 16}, "65536"),
        ({"proto": "tpc"}, "tpc"),
        ({"proto": 256}, "256"),
    ],
)
def test_a_bad_value_is_named(conditions: dict[str, object], word: str) -> None:
    with pytest.raises(tracer.InputError, match=word):
        flow_filter(conditions)  # type: ignore[arg-type]  # wrong on purpose


def test_an_unknown_condition_is_refused() -> None:
    with pytest.raises(TypeError, match="unknown condition 'hosts'"):
        tracer.read("nowhere", hosts="10.0.0.1")  # type: ignore[call-arg]  # wrong on purpose


def test_a_filter_in_words_names_each_condition() -> None:
    chosen = flow_filter({"host": ["10.0.0.1", "10.1.0.0/16"], "proto": "arp", "icmp_id": 7})
    assert words_of(chosen) == "icmp id 7, proto arp, host 10.0.0.1 or 10.1.0.0/16"
    assert words_of(FlowFilter()) == ""


def test_numbers_may_be_of_numpy_and_networks_objects() -> None:
    chosen = flow_filter(
        {"port": np.int32(80), "sport": [np.int64(1), 2], "host": ip_address("10.0.0.1"),
         "src": ip_network("10.0.0.0/8"), "dst": [ip_address("::1"), "fd00::/8"]}
    )  # fmt: skip
    assert (chosen.port, chosen.sport) == ((80,), (1, 2))
    assert (chosen.host, chosen.src) == (("10.0.0.1",), ("10.0.0.0/8",))
    assert chosen.dst == ("::1", "fd00::/8")


@pytest.mark.parametrize(
    "given", [{"port": "8080"}, {"port": ["80"]}, {"icmp_id": "x"}, {"icmp_id": 1.5}]
)
def test_texts_and_fractions_are_no_numbers(given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="is not a valid"):
        flow_filter(given)  # type: ignore[arg-type]
