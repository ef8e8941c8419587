"""Shows every hop one packet takes through a Linux host.

    import tracer
    incident = tracer.read("incident/")
    with tracer.follow(icmp_id=22344) as journeys: ...

Names are loaded when they are used, so that `import tracer` alone costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracer.api import (
        Change,
        Follow,
        Hop,
        HostError,
        InputError,
        InputWarning,
        Join,
        Journey,
        JourneyFrames,
        Observation,
        Point,
        TracerError,
        follow,
        read,
    )

__version__ = "0.1.0"
__all__ = [
    "Change",
    "Follow",
    "Hop",
    "HostError",
    "InputError",
    "InputWarning",
    "Join",
    "Journey",
    "JourneyFrames",
    "Observation",
    "Point",
    "TracerError",
    "follow",
    "read",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'tracer' has no attribute {name!r}")
    from tracer import api

    value = getattr(api, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
