import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tracer.sources.live.namespaces import (
    Names,
    all_namespaces,
    process_namespaces,
)

Looked, Begun = TypeVar("Looked"), TypeVar("Begun")


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
    assert names.turns((inum,), 0, 0) == []
    found = names.namespace(inum, time.time_ns())
    assert found is not None
    assert (found.name, found.is_host) == (namespace, False)


def again(name: str, inum: int) -> bool:
    """Have a namespace of that name with a number that another one had, unless others keep it."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:  # the lowest number is given, and none is freed at once
        subprocess.run(["ip", "netns", "add", name], check=True)
        if Path("/run/netns", name).stat().st_ino == inum:
            return True
        subprocess.run(["ip", "netns", "del", name], check=True)
    return False


def handed_on(
    old: str, new: str, look: Callable[[], Looked], begin: Callable[[Looked], Begun]
) -> tuple[Looked, Begun, int]:
    """Have a namespace with the number of one that is gone.

    `look` is called before the first one is made, `begin` while it is there. Returns what they
    did, and the number. What else runs on the machine may take it: then all is begun anew.
    """
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        looked = look()
        subprocess.run(["ip", "netns", "add", old], check=True)
        inum = Path("/run/netns", old).stat().st_ino
        begun = begin(looked)
        subprocess.run(["ip", "netns", "del", old], check=True)
        if again(new, inum):
            return looked, begun, inum
    raise AssertionError("others took every number")


def learned() -> Names:
    names = Names()
    names.learn()
    return names


@pytest.mark.kernel
@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("is_renamed", [True, False])
def test_a_number_has_the_name_of_the_one_that_had_it(is_renamed: bool, is_known: bool) -> None:
    def begin(names: Names) -> int:
        if is_known:
            names.turns((), 0, 0)
        return time.time_ns()

    old = f"names{os.getpid()}"
    new = f"{old}-new" if is_renamed else old
    names, old_ns, inum = handed_on(old, new, learned, begin)
    try:
        new_ns = time.time_ns()
        (turn,) = names.turns((inum,), old_ns, new_ns)
        assert old_ns < turn < new_ns
        then, now = names.namespace(inum, old_ns), names.namespace(inum, new_ns)
        assert (then.name if then else None) == (old if is_known else None)
        assert now is not None
        assert (now.name, now.made_ns) == (new, turn)
        assert then is None or then.made_ns != now.made_ns
    finally:
        subprocess.run(["ip", "netns", "del", new], check=True)


@pytest.mark.kernel
def test_where_it_is_not_known_whose_number_it_was_there_is_no_name() -> None:
    """A namespace without a name comes, and does not say when."""
    old, names = f"names{os.getpid()}", Names()
    subprocess.run(["ip", "netns", "add", old], check=True)
    inum = Path("/run/netns", old).stat().st_ino
    made_ns = time.time_ns()
    names.learn()
    between_ns = time.time_ns()
    with subprocess.Popen(
        ["ip", "netns", "exec", old, "sh", "-c", "echo in; exec cat"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        subprocess.run(["ip", "netns", "del", old], check=True)
        names.turns((inum,), 0, 0)
        later = names.namespace(inum, time.time_ns())
        assert process.stdin is not None
        process.stdin.close()
    before = names.namespace(inum, made_ns)
    assert before is not None
    assert before.name == old
    assert later is not None
    assert later.name is None
    assert names.namespace(inum, between_ns) is None
