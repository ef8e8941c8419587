"""What nf_tables and iptables say about NAT in a namespace, against rules made by their tools."""

import os
from collections.abc import Iterator

import pytest

from tests.kernel.routed import run
from tracer.sources.live.nat_rules import has_nat
from tracer.sources.live.syscalls import network_namespace

pytestmark = pytest.mark.kernel


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"natrules{os.getpid()}"
    run(f"ip netns add {name}")
    yield name
    run(f"ip netns del {name}")


def asked(namespace: str) -> bool:
    with network_namespace(f"/run/netns/{namespace}"):
        return has_nat()


@pytest.mark.parametrize(
    "rule",
    [
        "nft 'table ip6 t { chain c { type nat hook prerouting priority -100; }; }'",
        "iptables -t nat -A POSTROUTING -j MASQUERADE",
    ],
)
def test_nat_is_noticed_when_its_chain_comes(namespace: str, rule: str) -> None:
    run(f"ip netns exec {namespace} iptables -A FORWARD -j ACCEPT")
    run(f"ip netns exec {namespace} nft add table inet nat")
    assert not asked(namespace)
    run(f"ip netns exec {namespace} {rule}")
    assert asked(namespace)
