"""All scenarios by name; each is made from a seed and a scale (1 is a few thousand packets)."""

from collections.abc import Callable

from scenarios.catalogue import (
    adverse,
    chance,
    clock,
    cluster,
    conntrack,
    equal,
    fragments,
    ipv6,
    mess,
    nat,
    paths,
    protocols,
    renumbered,
    tcp,
    waiting,
)
from scenarios.scenario import Scenario

Maker = Callable[[int, float], Scenario]

SCENARIOS: dict[str, Maker] = {
    **nat.SCENARIOS,
    **conntrack.SCENARIOS,
    **tcp.SCENARIOS,
    **protocols.SCENARIOS,
    **equal.SCENARIOS,
    **fragments.SCENARIOS,
    **ipv6.SCENARIOS,
    **paths.SCENARIOS,
    **cluster.SCENARIOS,
    **mess.SCENARIOS,
    **clock.SCENARIOS,
    **chance.SCENARIOS,
    **adverse.SCENARIOS,
    **waiting.SCENARIOS,
    **renumbered.SCENARIOS,
}

#: Scenarios of which only what joins claim has to be right: nothing tells their packets apart, and
#: those around what was lost, or missed by a capture, are taken for each other.
CLAIMS_ONLY: dict[str, Maker] = {**equal.CLAIMS_ONLY}


def make(name: str, seed: int = 1, scale: float = 1.0) -> Scenario:
    """Return a scenario of the catalogue; raises KeyError for an unknown name."""
    scenario = (SCENARIOS | CLAIMS_ONLY)[name](seed, scale)
    scenario.name = name
    return scenario
