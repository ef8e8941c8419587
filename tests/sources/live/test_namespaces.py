import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracer.sources.live.namespaces import (
    _CHECK_SECONDS,
    Names,
    all_namespaces,
    devices,
    process_namespaces,
)


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


def again(name: str, inum: int) -> None:
    """Have a namespace of that name with a number that another one had."""
    deadline = time.monotonic() + 60
    while True:  # the kernel gives the lowest number, and does not free one at once
        subprocess.run(["ip", "netns", "add", name], check=True)
        if Path("/run/netns", name).stat().st_ino == inum:
            return
        assert time.monotonic() < deadline, "another namespace took the number"
        subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.mark.kernel
@pytest.mark.parametrize("is_renamed", [True, False])
def test_a_number_that_is_used_again_has_the_names_of_the_new_one(is_renamed: bool) -> None:
    old = f"names{os.getpid()}"
    new = f"{old}-new" if is_renamed else old
    subprocess.run(["ip", "netns", "add", old], check=True)
    inum, names = Path("/run/netns", old).stat().st_ino, Names()
    device = ["link", "add", "index", "77", "type", "bridge"]
    try:
        subprocess.run(["ip", "-n", old, *device[:2], "br-x", *device[2:]], check=True)
        names.learn()
        assert names.device(inum, 77) == "br-x"
    finally:
        subprocess.run(["ip", "netns", "del", old], check=True)
    assert names.device(inum, 77) == "br-x"
    again(new, inum)
    try:
        subprocess.run(["ip", "-n", new, *device[:2], "br-y", *device[2:]], check=True)
        time.sleep(_CHECK_SECONDS)
        found = names.namespace(inum)
        assert found is not None
        assert (found.name, names.device(inum, 77)) == (new, "br-y")
    finally:
        subprocess.run(["ip", "netns", "del", new], check=True)
