"""`tracer schema` prints JSON Schemas."""

import json

import pytest
from jsonschema import Draft202012Validator

from cli.conftest import Run
from tracer.report.schema import SCHEMAS


@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_schema_is_printed(kind: str, run: Run) -> None:
    document = json.loads(run("schema", kind).stdout)
    Draft202012Validator.check_schema(document)
    assert document["title"] == kind


def test_the_journey_is_the_default(run: Run) -> None:
    assert json.loads(run("schema").stdout)["title"] == "journey"
