"""What a device or namespace is in Neutron, told from its name; other names have no role.

Names are `(prefix + uuid)[:14]` (neutron-lib `LINUX_DEV_LEN`), so the prefix says what made the
device; the ports agent, os-vif and the L3 agent each have their own.
"""

import re
from functools import lru_cache

from tracer.core.address import decode_mac
from tracer.core.point import Point

# First match wins. Role, then the pattern of the whole device name.
_DEVICES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (role, re.compile(pattern))
    for role, pattern in (
        ("qr", r"qr-[0-9a-f]{8}-[0-9a-f]{2}"),
        ("rfp", r"rfp-[0-9a-f]{8}-[0-9a-f]"),
        ("fpr", r"fpr-[0-9a-f]{8}-[0-9a-f]"),
        ("fg", r"fg-[0-9a-f]{8}-[0-9a-f]{2}"),
        ("qg", r"qg-[0-9a-f]{8}-[0-9a-f]{2}"),
        ("sg", r"sg-[0-9a-f]{8}-[0-9a-f]{2}"),
        ("ha", r"ha-[0-9a-f]{8}-[0-9a-f]{2}"),
        ("qvb", r"qvb[0-9a-f]{8}-[0-9a-f]{2}"),
        ("qvo", r"qvo[0-9a-f]{8}-[0-9a-f]{2}"),
        ("qbr", r"qbr[0-9a-f]{8}-[0-9a-f]{2}"),
        ("dhcp", r"ns-[0-9a-f]{8}-[0-9a-f]{2}"),
        ("tap", r"tap.+"),
        ("br-int", r"br-int"),
        ("br-tun", r"br-tun"),
        ("br-ex", r"br-ex"),
        ("patch", r"(int|phy)-br.+|patch-.+"),
        ("tunnel", r"vxlan_sys_\d+|gre_sys|genev_sys_\d+|vxlan[-\d].*|gre-.+|geneve-.+"),
        ("octavia", r"o-hm\d+"),
        ("lo", r"lo"),
        ("nic", r"(en[opsx]|eth|em|ib|bond|p\d+p)\w*(\.\d+)?|wl\w+"),
    )
)
_VM_NAMESPACE = re.compile(r"(vm|instance|server)\b.*")
_NEUTRON_PORT_MAC = "fa:16:3e:"


@lru_cache(4096)
def role_of(point: Point) -> str | None:
    """Return the role of a point's device (`qr`, `rfp`, `fpr`, `fg`, `tap`, `nic`, `vm` …) or None.

    A NIC whose MAC is a Neutron port's, or in a namespace named as a VM, is a VM's own.
    """
    device = point.device
    if device is None:
        return None
    role = next((role for role, pattern in _DEVICES if pattern.fullmatch(device)), None)
    if role == "tap" and point.netns:
        return {"qdhcp": "dhcp", "ovnmeta": "metadata"}.get(point.netns.partition("-")[0], "tap")
    return "vm" if role == "nic" and _belongs_to_vm(point) else role


@lru_cache(4096)
def short_netns(netns: str | None) -> str | None:
    """Return a namespace's name with its uuid cut to the eight digits people compare."""
    if netns is None:
        return None
    return re.sub(r"([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", r"\1", netns)


def _belongs_to_vm(point: Point) -> bool:
    mac = decode_mac(point.mac) if point.mac is not None else None
    if mac is not None and mac.startswith(_NEUTRON_PORT_MAC):
        return True
    # A namespace tells more than its host, whose name says nothing about what runs there.
    name = point.netns or point.host
    return name is not None and _VM_NAMESPACE.fullmatch(name) is not None


def point_label(point: Point) -> str:
    """Return a point's name in full: host, namespace and device or hook, with slashes."""
    parts = (point.host, own_netns(point), point.device or point.hook)
    return "/".join(part for part in parts if part) or point.name


def short_label(point: Point) -> str:
    """Return a point's name as `point_label` does, the namespace's uuid cut."""
    return short_netns(point_label(point)) or point.name


def own_netns(point: Point) -> str | None:
    """Return the namespace where it tells more than the host: None where both have one name."""
    return None if point.netns == point.host else point.netns
