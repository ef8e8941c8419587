"""Which observations a filter's addresses mean."""

import pytest
from made import batch_of

from tracer.core.filter import FlowFilter
from tracer.correlate.select import matches

ROWS = [
    {"src": "10.0.0.1", "dst": "10.0.0.2", "ip_version": 4},
    {"src": "fd00::1", "dst": "fd00::2", "ip_version": 6},
    {"src": "::1", "dst": "::2", "ip_version": 6},
]


@pytest.mark.parametrize(
    ("network", "met"),
    [
        ("0.0.0.0/0", [True, False, False]),
        ("10.0.0.0/8", [True, False, False]),
        ("::/0", [False, True, True]),
        ("::/64", [False, False, True]),
        ("::/1", [False, False, True]),
        ("fd00::/16", [False, True, False]),
    ],
)
def test_networks_are_of_one_family(network: str, met: list[bool]) -> None:
    for chosen in (FlowFilter(host=(network,)), FlowFilter(src=(network,))):
        assert matches(batch_of(ROWS), chosen).tolist() == met
