"""What `tracer schema` promises holds for the output of every recorded capture."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from cli.conftest import Run
from tests.conftest import CAPTURES

FOLDERS = sorted(path.name for path in CAPTURES.iterdir() if path.is_dir())


def validator(run: Run, kind: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(run("schema", kind).stdout))


@pytest.mark.parametrize("folder", FOLDERS)
def test_journeys_and_summary(folder: str, tmp_path: Path, run: Run) -> None:
    summary = tmp_path / "summary.json"
    lines = run("offline", CAPTURES / folder, "--format", "jsonl", "--summary", summary).stdout
    journeys = validator(run, "journey")
    for line in lines.splitlines():
        journeys.validate(json.loads(line))
    written = json.loads(summary.read_text())
    validator(run, "summary").validate(written)
    assert written["journeys"] == len(lines.splitlines()) > 50
    assert (written["flow_paths"] != []) == (folder == "walkthrough")


@pytest.mark.parametrize("folder", FOLDERS)
def test_observations_and_summary(folder: str, tmp_path: Path, run: Run) -> None:
    summary = tmp_path / "summary.json"
    command = ("observations", CAPTURES / folder, "--format", "jsonl", "--summary", summary)
    lines = run(*command).stdout.splitlines()
    observations = validator(run, "observation")
    for line in lines:
        observations.validate(json.loads(line))
    written = json.loads(summary.read_text())
    validator(run, "summary").validate(written)
    assert written["observations"] == len(lines) > 50
