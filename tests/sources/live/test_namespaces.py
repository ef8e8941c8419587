import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracer.sources.live.namespaces import Names, all_namespaces, devices, process_namespaces


def test_our_own_namespace_is_among_those_of_processes() -> None:
    own = os.stat("/proc/self/ns/net").st_ino
    assert own in process_namespaces()
    assert sum(n.is_host for n in all_namespaces().values()) <= 1


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"names{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    subprocess.run(
        ["ip", "-n", name, "link", "add", "br-x", "index", "77", "type", "bridge"], check=True
    )
    yield name
    subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.mark.kernel
def test_a_named_namespace_and_its_devices(namespace: str) -> None:
    inum = Path("/run/netns", namespace).stat().st_ino
    names = Names()
    assert names.device(inum, 77) == "br-x"
    assert names.device(inum, 78) is None
    found = names.namespace(inum)
    assert found is not None
    assert (found.name, found.is_host) == (namespace, False)
    # And this thread is where it was.
    assert "br-x" not in [name for _, name in socket.if_nameindex()]


@pytest.mark.kernel
def test_what_is_gone_keeps_its_name(namespace: str) -> None:
    inum = Path("/run/netns", namespace).stat().st_ino
    names = Names()
    names.learn()
    found = all_namespaces()[inum]
    subprocess.run(["ip", "-n", namespace, "link", "del", "br-x"], check=True)
    assert names.device(inum, 77) == "br-x"
    assert 77 not in devices(found)
