"""Protocol names, against the system's table."""

import socket

import pytest

from tracer.core.protocols import PROTOCOLS, protocol_name


@pytest.mark.parametrize("name", ["icmp", "tcp", "udp", "gre", "esp", "ospf", "sctp"])
def test_names_are_the_systems(name: str) -> None:
    try:
        number = socket.getprotobyname(name)
    except OSError:
        pytest.skip(f"/etc/protocols does not know {name}")
    assert protocol_name(number) == name


def test_names_users_give_are_names_they_get() -> None:
    assert {protocol_name(number) for number in PROTOCOLS.values()} == set(PROTOCOLS)


def test_the_unknown_and_the_nameless() -> None:
    assert protocol_name(-1) is None
    assert protocol_name(253) == "253"
