"""Pseudonyms of hosts, namespaces, devices, clocks and capture files.

What a name says of its kind stays (`qrouter-`, `tap`, `.pcap.gz`, a NIC's slot); what says whose it
is goes. UUIDs are pseudonymised digit by digit, each by the digits before it: a device named after
the first digits of a UUID (neutron-lib cuts names to 14 characters) still fits the whole one.
"""

import hashlib
import re
from collections.abc import Callable

_ID = r"[0-9a-f]{8}-[0-9a-f]{1,4}(?:-[0-9a-f]{1,4}){0,2}(?:-[0-9a-f]{1,12})?"
_NEUTRON_DEVICE = re.compile(rf"(tap|qvo|qvb|qbr|(?:qr|qg|sg|ha|rfp|fpr|fg|ns)-)({_ID})")
_NEUTRON_NETNS = re.compile(rf"(qrouter|snat|fip|qdhcp|ovnmeta)-({_ID})")
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NEUTRON_NAME = re.compile(f"{_NEUTRON_DEVICE.pattern}|{_NEUTRON_NETNS.pattern}")
# Names the kernel, systemd, Open vSwitch and Neutron give to any host's devices.
_ANYONES = re.compile(
    r"lo|any|eth\d+|em\d+|ib\d+|wlan\d+|bond\d+|docker0|virbr\d+|br\d+|br-(?:int|ex|tun|vlan)"
    r"|en(?:o\d+|s\d+|p\d+s\d+)(?:f\d+)?(?:np?\d+|d\d+)?|p\d+p\d+|vxlan_sys_\d+|genev_sys_\d+"
    r"|gre_sys|o-hm\d+|if\d+|ovs-system|(?:int|phy)-br-ex"
)
_MAC_DEVICE = re.compile(r"(enx|wlx)([0-9a-f]{12})")
# What a host is for, in front of its number, says nothing about whose it is.
_HOST_KINDS = re.compile(r"(vm|instance|server|compute|network|controller)(?![a-z])|(?=)")
_SUFFIXES = re.compile(
    r"(?:\.(?:pcapng|pcap|cap|dmp|dump|txt|log|parquet|ntar))?(?:\.(?:gz|zst|xz))?$"
)
_NOBODYS = frozenset(("-", "stdin", "live", "capture", "bcc", "core"))  # engines, streams


class NamePseudonyms:
    """Gives names their pseudonyms; `mac` is how MAC addresses get theirs."""

    def __init__(self, key: bytes, mac: Callable[[int], int]) -> None:
        self._key, self._mac = key, mac

    def place(self, name: str) -> str:
        """Return the pseudonym of a host, namespace or clock; one name is one, whatever it names.

        `qrouter-` and its like stay before a UUID, as do words such as `compute` before a number.
        """
        if name in _NOBODYS:
            return name
        named = _NEUTRON_NETNS.fullmatch(name)
        if named:
            return f"{named[1]}-{self.identifier(named[2])}"
        kind = _HOST_KINDS.match(name)
        return f"{kind[1] if kind and kind[1] else 'name'}-{self.token(name)}"

    def device(self, name: str) -> str:
        """Return the pseudonym of a device; those any host has (`lo`, `eth0`, `br-int`) stay."""
        base, dot, vlan = name.partition(".")
        if dot and not vlan.isdecimal():
            base, dot, vlan = name, "", ""
        return self._device(base) + dot + vlan

    def capture(self, name: str) -> str:
        """Return the pseudonym of a capture file, folder by folder; its suffixes stay."""
        *folders, last = name.split("/")
        parts = [part and f"folder-{self.token(part)}" for part in folders]
        if last in _NOBODYS:
            return "/".join([*parts, last])
        last, number, interface = last.partition("#")  # interfaces of a file are numbered
        suffixes = _SUFFIXES.search(last)
        suffix = suffixes.group() if suffixes else ""
        own = f"capture-{self.token(last.removesuffix(suffix))}{suffix}"
        return "/".join([*parts, own + number + interface])

    def identifier(self, digits: str) -> str:
        """Return the pseudonym of a UUID or of its first digits; dashes stay."""
        result, before = [], ""
        for digit in digits:
            if digit == "-":
                result.append(digit)
                continue
            result.append(f"{int(digit, 16) ^ self._hash(b'uuid', before, 1)[0] & 15:x}")
            before += digit
        return "".join(result)

    def _device(self, name: str) -> str:
        if _ANYONES.fullmatch(name):
            return name
        if named := _NEUTRON_DEVICE.fullmatch(name):
            return named[1] + self.identifier(named[2])
        if named := _MAC_DEVICE.fullmatch(name):
            return f"{named[1]}{self._mac(int(named[2], 16)):012x}"
        return f"dev-{self.token(name)}"

    def token(self, name: str) -> str:
        """Return eight hexadecimal digits that stand for a name."""
        return self._hash(b"name", name, 4).hex()

    def _hash(self, purpose: bytes, text: str, size: int) -> bytes:
        data = text.encode("utf-8", "surrogateescape")
        return hashlib.blake2b(data, key=self._key, digest_size=size, person=purpose).digest()
