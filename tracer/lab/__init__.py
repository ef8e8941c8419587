"""A Neutron DVR floating-IP path on the real kernel, made of network namespaces.

It is the topology of the walk-through in `captures/walkthrough`, with its names, addresses, MACs
and rules, for the demo and the kernel tests alike. Devices of the root namespace are not touched.
"""

from tracer.lab.building import LabStatus, down, namespaces, status, up

__all__ = ["LabStatus", "down", "namespaces", "status", "up"]
