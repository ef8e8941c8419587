"""A Neutron DVR floating-IP path on the real kernel, made of network namespaces.

It is the topology of the walk-through in `captures/walkthrough`, with its names, addresses, MACs
and rules, for the demo and the kernel tests alike. Devices of the root namespace are not touched.
"""

from tracer.lab.building import LabStatus, down, namespaces, status, up
from tracer.lab.recording import Recording, record
from tracer.lab.traffic.icmp import ping
from tracer.lab.traffic.log import Sent
from tracer.lab.traffic.tcp import send_tcp
from tracer.lab.traffic.udp import send_udp
from tracer.lab.truth import Case, Point, TrueHop, case, cases, points

__all__ = [
    "Case",
    "LabStatus",
    "Point",
    "Recording",
    "Sent",
    "TrueHop",
    "case",
    "cases",
    "down",
    "namespaces",
    "ping",
    "points",
    "record",
    "send_tcp",
    "send_udp",
    "status",
    "up",
]
