"""Clocks of several hosts that disagree."""

from scenarios.catalogue.mess import traffic
from scenarios.clocks import EPOCH, SECOND, Clock
from scenarios.scenario import Scenario
from scenarios.traffic import MILLI
from scenarios.world import World


def _clocks(name: str, doc: str, told: bool = True, **clocks: Clock):  # type: ignore[no-untyped-def]
    def maker(seed: int, scale: float) -> Scenario:
        world = World(seed, told=told)
        world.clocks.update(clocks)
        traffic(world, scale)
        return world.finish(name)

    maker.__doc__ = doc
    return maker


SCENARIOS = {
    "clock_offsets": _clocks(
        "clock_offsets", "Hosts seconds apart.",
        gateway=Clock(3 * SECOND), server=Clock(-7 * SECOND // 2, noise_ns=3_000),
    ),
    "clock_drift": _clocks(
        "clock_drift", "Hosts drift by tens of ppm.",
        gateway=Clock(-SECOND, 40.0), server=Clock(SECOND // 3, -55.0),
    ),
    "clock_step": _clocks(
        "clock_step", "A host's clock is stepped by NTP in the middle.",
        server=Clock(5 * MILLI, steps=((EPOCH + 200 * MILLI, -40 * MILLI),)),
    ),
    "hosts_unknown": _clocks(
        "hosts_unknown", "Nobody says which file is from which host, and their clocks differ.",
        told=False, gateway=Clock(2 * SECOND), server=Clock(-SECOND, 30.0),
    ),
}  # fmt: skip
