"""Recorded journeys, as a set and as the lines `tracer offline` writes: one the other's oracle."""

import json
from pathlib import Path
from typing import Any

import pytest

from tracer.cli.offline import joined
from tracer.core.journeys import JourneySet
from tracer.report.jsonl import journey_lines

CAPTURES = Path(__file__).resolve().parents[3] / "captures"


@pytest.fixture(scope="session", params=["fip-outbound", "two-tenants", "snat-centralized"])
def recorded(request: pytest.FixtureRequest) -> JourneySet:
    """The journeys of one of the recorded folders."""
    return joined([str(CAPTURES / request.param)], {}, ())


@pytest.fixture(scope="session")
def lines(recorded: JourneySet) -> list[dict[str, Any]]:
    """The same journeys as JSON values."""
    return [json.loads(line) for part in journey_lines(recorded) for line in part.splitlines()]


def place_of(hop: dict[str, Any]) -> tuple[Any, ...]:
    """What tells a hop's place from others: its device, whatever the direction."""
    return hop["host"], hop["netns"], hop["device"]
