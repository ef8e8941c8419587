"""The Python interface: captures and live packets as DataFrames.

    import tracer
    incident = tracer.read("incident/")
    incident.hops.groupby("device", observed=True)["delta"].median()

`tracer.read`, `tracer.follow` and what they give are also names of `tracer` itself.
"""

from tracer.api.following import Follow, follow
from tracer.api.journey_frames import JourneyFrames
from tracer.api.reading import read
from tracer.core.errors import HostError, InputError, TracerError
from tracer.core.hop import Change, Hop, Join
from tracer.core.journey import Journey
from tracer.core.observation import Observation
from tracer.core.point import Point
from tracer.core.warnings import InputWarning

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
