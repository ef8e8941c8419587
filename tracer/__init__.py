"""Shows every hop one packet takes through a Linux host.

    import tracer
    incident = tracer.read("incident/")
    with tracer.follow(icmp_id=22344) as journeys: ...

Names are loaded when they are used, so that `import tracer` alone costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracer.api.following import Follow as Follow
    from tracer.api.following import follow as follow
    from tracer.api.journey_frames import JourneyFrames as JourneyFrames
    from tracer.api.reading import read as read
    from tracer.core.errors import HostError as HostError
    from tracer.core.errors import InputError as InputError
    from tracer.core.errors import TracerError as TracerError
    from tracer.core.hop import Change as Change
    from tracer.core.hop import Hop as Hop
    from tracer.core.hop import Join as Join
    from tracer.core.journey import Journey as Journey
    from tracer.core.observation import Observation as Observation
    from tracer.core.point import Point as Point
    from tracer.core.warnings import InputWarning as InputWarning

__version__ = "0.1.0"
# Where each public name is; what is above tells type checkers the same, and a test compares them.
_MODULES = {
    "api.following": ("Follow", "follow"),
    "api.journey_frames": ("JourneyFrames",),
    "api.reading": ("read",),
    "core.errors": ("HostError", "InputError", "TracerError"),
    "core.hop": ("Change", "Hop", "Join"),
    "core.journey": ("Journey",),
    "core.observation": ("Observation",),
    "core.point": ("Point",),
    "core.warnings": ("InputWarning",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tracer' has no attribute {name!r}")
    value = getattr(import_module(f"tracer.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
