"""What the lab refuses before it does anything."""

import os
from pathlib import Path

import pytest

from tracer import lab
from tracer.core.errors import HostError, LabError
from tracer.lab import building, commands, state


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "FOLDER", tmp_path / "record")


def test_namespaces_carry_the_names_of_the_walkthrough() -> None:
    assert {
        "vm",
        "compute03",
        "serviceproxy01",
        "qrouter-b6a86b9f-6cf4-4ec3-a57a-00ce3e49142d",
        "fip-e7cb8424-51e4-429a-8020-76e651877db3",
        "snat-b6a86b9f-6cf4-4ec3-a57a-00ce3e49142d",
    } <= set(lab.namespaces())


def test_up_without_root_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(HostError, match=r"needs root .* Run it with sudo\."):
        lab.up()
    with pytest.raises(HostError, match="needs root"):
        lab.ping("fip-outbound", 1)


def test_down_without_a_lab_needs_no_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert lab.down() == ()


def test_a_missing_tool_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(
        HostError, match=r"needs .*nft.* apt-get install iproute2 iptables nftables"
    ):
        commands.require(commands.TOOLS)


def test_a_failing_tool_is_one_sentence_with_its_complaint() -> None:
    with pytest.raises(LabError, match=r"`ls /no-such-folder` failed: .*/no-such-folder"):
        commands.run(["ls", "/no-such-folder"])


def test_every_namespace_has_what_sets_its_links_up() -> None:
    for netns in building.namespaces():
        assert (building.TOPOLOGY / netns / "ip.batch").exists()
        assert (building.TOPOLOGY / netns / "sysctl.conf").exists()
