"""A Neutron DVR floating-IP path on the real kernel, made of network namespaces.

It is the topology of the walk-through in `captures/walkthrough`, with its names, addresses, MACs
and rules, for the demo and the kernel tests alike. Devices of the root namespace are not touched.

What differs from a host with Open vSwitch: bridges and nftables stand for br-int, br-tun and br-ex
(local VLAN tags and DVR flows are rules there, not tags), qr-, fg-, sg- and qg- are veth ends whose
peers are named ovs-*, patch ports are veths that can be captured, and there are no security groups.
`topology/` holds everything as the files that ip, sysctl, iptables-restore and nft read.
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
