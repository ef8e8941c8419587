"""Checks of the host."""

import re
import sys
import tomllib
from pathlib import Path

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


def test_every_package_that_is_depended_on_is_asked_for() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = {
        re.split(r"[\[<>=]", each)[0]: group
        for group, names in (("", project["dependencies"]), *((g, extras[g]) for g in extras))
        for each in names
        if group in ("", "lab", "report")
    }
    asked = {each.name.removeprefix("Python package "): each for each in diagnose()}
    assert set(wanted) <= set(asked)
    assert {name: asked[name].required for name in wanted} == {
        name: group == "" for name, group in wanted.items()
    }


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
