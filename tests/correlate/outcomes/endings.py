"""What tests ask of how journeys ended."""

import numpy as np
from scenarios.scenario import Scenario

from tracer.core.enums import Outcome
from tracer.core.journeys import JourneySet


def ended(found: JourneySet, outcome: Outcome) -> np.ndarray:
    """Return the journeys with an outcome."""
    return np.flatnonzero(found.journeys["outcome"] == outcome)


def lost(scenario: Scenario, found: JourneySet, journeys: np.ndarray) -> np.ndarray:
    """Return whether the network lost the packet of each journey."""
    rows = found.hops["row"][found.journeys["first_hop"][journeys]]
    return scenario.truth.lost_after[scenario.truth.packet[rows]] >= 0


def said(found: JourneySet, journeys: np.ndarray) -> set[str | None]:
    """Return the reasons of journeys."""
    return {found.reasons[n] if n >= 0 else None for n in found.journeys["reason"][journeys]}
