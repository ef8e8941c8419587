"""Incidents read once: recorded captures as frames."""

from pathlib import Path

import pytest

import tracer


@pytest.fixture(scope="session")
def outbound(captures: Path) -> tracer.JourneyFrames:
    """A VM with a floating IP to a server; one TCP segment lost after `fpr`."""
    return tracer.read(captures / "fip-outbound")


@pytest.fixture(scope="session")
def tunnelled(captures: Path) -> tracer.JourneyFrames:
    """Through the network node's SNAT namespace, over VXLAN."""
    return tracer.read(captures / "snat-centralized")


@pytest.fixture(scope="session")
def walkthrough(captures: Path) -> tracer.JourneyFrames:
    """Captures that share no packet."""
    return tracer.read(captures / "walkthrough")
