"""The lab's record: what it owns, and what it says when the record is damaged."""

from pathlib import Path

import pytest

from tracer import lab
from tracer.core.errors import HostError
from tracer.lab import state


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "FOLDER", tmp_path / "record")
    monkeypatch.setattr(state, "NETNS_FOLDER", tmp_path / "netns")
    (tmp_path / "netns").mkdir()


def make(name: str) -> int:
    path = state.NETNS_FOLDER / name
    path.touch()
    return path.stat().st_ino


def test_no_record_is_no_lab() -> None:
    assert state.load() is None
    assert lab.status() == lab.LabStatus(False, (), lab.namespaces(), (), None)


def test_record_comes_back_as_it_was_saved() -> None:
    claimed = state.claim(["vm", "sdata"])
    claimed.namespaces["vm"] = 17
    claimed.tagging, claimed.complete = "tc-bpf", True
    state.save(claimed)
    assert state.load() == claimed
    state.forget()
    assert state.load() is None


def test_owns_the_recorded_inode_only() -> None:
    claimed = state.claim(["vm", "sdata"])
    inode = make("vm")
    claimed.namespaces["vm"] = inode
    assert claimed.owns("vm")
    claimed.namespaces["vm"] = inode + 1
    assert not claimed.owns("vm")
    assert not claimed.owns("sdata")
    assert not claimed.owns("never-claimed")


def test_without_an_inode_owns_what_is_younger_than_the_claim() -> None:
    make("vm")
    claimed = state.claim(["vm", "sdata"])
    claimed.claimed_ns += 60_000_000_000
    assert not claimed.owns("vm")
    claimed.claimed_ns -= 120_000_000_000
    assert claimed.owns("vm")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"unknown": 1}', "null"])
def test_a_damaged_record_is_one_sentence(text: str) -> None:
    state.FOLDER.mkdir()
    (state.FOLDER / "state.json").write_text(text)
    with pytest.raises(HostError, match=r"state\.json cannot be read: "):
        state.load()


def test_names_of_others_are_foreign() -> None:
    make("vm")
    assert lab.status().foreign == ("vm",)
    assert not lab.status().up
