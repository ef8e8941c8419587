"""`tracer doctor`: text for people, JSON for bug reports, status for scripts."""

import json

import pytest

from cli.conftest import Run
from tracer import doctor
from tracer.doctor import Check


def test_json_has_every_check(run: Run) -> None:
    result = run("doctor", "--json")
    found = {each["name"]: each for each in json.loads(result.stdout)}
    assert found["Python package numpy"]["status"] == "ok"
    assert {check.name for check in doctor.checks()} <= set(found)
    assert any(name.startswith("live: ") for name in found)


def test_what_is_missing_is_named_with_its_remedy(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = Check("kernel BTF", "live tracing", lambda: ("missing", "none"), "install it")
    monkeypatch.setattr(doctor, "checks", lambda: [lacking])
    monkeypatch.setattr(doctor, "live_findings", list)
    result = run("doctor")
    assert result.exit_code == 0
    assert result.stdout.split() == [
        *["missing", "kernel", "BTF", "none", "needed", "for", "live", "tracing", "install", "it"]
    ]


def test_what_every_command_needs_decides_the_status(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = Check("Python", "every command", lambda: ("missing", "none"), required=True)
    monkeypatch.setattr(doctor, "checks", lambda: [lacking])
    monkeypatch.setattr(doctor, "live_findings", list)
    assert run("doctor").exit_code == 1
