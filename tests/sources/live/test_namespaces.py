import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracer.sources.live.namespaces import (
    _CHECK_SECONDS,
    Names,
    all_namespaces,
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
    yield name
    subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.mark.kernel
def test_a_named_namespace(namespace: str) -> None:
    inum = Path("/run/netns", namespace).stat().st_ino
    names = Names()
    found = names.namespace(inum)
    assert found is not None
    assert (found.name, found.is_host) == (namespace, False)


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
    names.learn()
    subprocess.run(["ip", "netns", "del", old], check=True)
    found = names.namespace(inum)
    assert found is not None
    assert found.name == old
    again(new, inum)
    try:
        time.sleep(_CHECK_SECONDS)
        found = names.namespace(inum)
        assert found is not None
        assert found.name == new
    finally:
        subprocess.run(["ip", "netns", "del", new], check=True)
