"""Checks of the host."""

import sys

import pytest

from tracer import doctor
from tracer.doctor import Check, diagnose, is_healthy, live_findings


def test_this_host_can_run_the_project() -> None:
    found = diagnose()
    assert is_healthy(found)
    assert found[0].detail == ".".join(map(str, sys.version_info[:3]))


def test_a_hint_only_where_something_is_amiss() -> None:
    found = Check("a", "x", lambda: ("ok", "here"), "do this").answer()
    lost = Check("b", "x", lambda: ("missing", "not found"), "do that").answer()
    assert (found.hint, lost.hint) == (None, "do that")
    assert is_healthy([found, lost])


def test_unknown_is_not_missing() -> None:
    found = Check("a", "x", lambda: ("unknown", "?"), required=True).answer()
    assert is_healthy([found])


def test_a_tool_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda *_, **__: None)
    found = {each.name: each for each in diagnose()}
    assert found["command tcpdump"].status == "missing"
    assert found["command tcpdump"].hint == "sudo apt install tcpdump"
    assert is_healthy(list(found.values()))


def test_live_tracing_is_asked_as_well_but_not_required() -> None:
    found = live_findings()
    assert "live: kernel" in {each.name for each in found}
    assert not any(each.required for each in found)
    assert all(each.status in ("ok", "missing", "unknown") for each in found)
