"""The lab is idempotent, survives a crash, and removes nothing that it did not make."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracer import lab as lab_package
from tracer.core.errors import LabError
from tracer.lab import building, state, tagging

pytestmark = pytest.mark.kernel
NETNS = Path("/var/run/netns")


def ip(*argv: str) -> str:
    return subprocess.run(["ip", *argv], capture_output=True, text=True, check=True).stdout


def names() -> set[str]:
    return {entry.name for entry in NETNS.iterdir()} if NETNS.exists() else set()


@pytest.fixture
def absent(lab_alone: None) -> Iterator[None]:
    """No lab; a lab that was up before is up again afterwards."""
    was_up = lab_package.status().up
    lab_package.down()
    yield
    lab_package.down()
    if was_up:
        lab_package.up()


def test_up_and_down_leave_the_host_as_it_was(absent: None) -> None:
    before, links = names(), ip("-br", "link")
    assert lab_package.up().up
    assert names() - before == set(lab_package.namespaces())
    assert ip("-br", "link") == links
    lab_package.down()
    assert names() == before
    assert ip("-br", "link") == links
    assert state.load() is None


def test_second_up_keeps_what_is_there(absent: None) -> None:
    lab_package.up()
    inodes = {name: state.netns_stat(name) for name in lab_package.namespaces()}
    assert lab_package.up().up
    assert {name: state.netns_stat(name) for name in lab_package.namespaces()} == inodes


def test_second_down_does_nothing(absent: None) -> None:
    assert lab_package.down() == ()


def test_a_namespace_of_somebody_else_is_an_error_and_stays(absent: None) -> None:
    ip("netns", "add", "sdata")
    try:
        with pytest.raises(LabError, match="sdata is already there and not the lab's"):
            lab_package.up()
        assert lab_package.status().foreign == ("sdata",)
        lab_package.down()
        assert "sdata" in names()
        assert "compute03" not in names()
    finally:
        ip("netns", "delete", "sdata")


def test_a_namespace_made_anew_by_somebody_else_survives_down(absent: None) -> None:
    lab_package.up()
    ip("netns", "delete", "sdata")
    ip("netns", "add", "sdata")
    try:
        assert "sdata" not in lab_package.down()
        assert "sdata" in names()
    finally:
        ip("netns", "delete", "sdata")


def test_a_failed_step_leaves_nothing(absent: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise LabError("no tagging today")

    before = names()
    monkeypatch.setattr(tagging, "tag", fail)
    with pytest.raises(LabError, match="no tagging today"):
        lab_package.up()
    assert names() == before
    assert state.load() is None


def test_up_mends_what_a_crash_left(absent: None) -> None:
    # killed after the claim and some `ip netns add`, before the inodes were recorded
    state.claim(list(lab_package.namespaces()))
    ip("netns", "add", "vm")
    ip("netns", "add", "sdata")
    assert not lab_package.status().up
    assert lab_package.status().present == ("sdata", "vm")
    assert lab_package.up().up


def test_down_removes_what_a_crash_left(absent: None) -> None:
    state.claim(list(lab_package.namespaces()))
    ip("netns", "add", "vm")
    assert lab_package.down() == ("vm",)
    assert "vm" not in names()


def test_an_incomplete_lab_is_built_again(absent: None) -> None:
    lab_package.up()
    ip("netns", "delete", "vm")
    assert lab_package.status().missing == ("vm",)
    assert lab_package.up().up


@pytest.mark.parametrize("ways", [(), ("8021q", "tc-vlan", "tc-bpf")])
def test_status_says_how_the_nic_is_tagged(
    absent: None, monkeypatch: pytest.MonkeyPatch, ways: tuple[str, ...]
) -> None:
    monkeypatch.setattr(tagging, "WAYS", {way: tagging.WAYS[way] for way in ways})
    status = lab_package.up()
    assert status.tagging in {*ways, "untagged"}
    lab_package.ping("fip-outbound", 1)
    filters = ["tc", "filter", "show", "dev", tagging.NIC, "egress"]
    assert ("vlan-push" in building.run_in("compute03", filters)) is (status.tagging == "tc-bpf")
