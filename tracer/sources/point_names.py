"""What the names of captures and interfaces say of the point they were made at."""

import re
from collections.abc import Sequence
from pathlib import Path

from tracer.core.point import Point

COMPRESSED = (".gz", ".zst", ".xz")
_CAPTURE = (".pcap", ".pcapng", ".cap", ".dmp", ".dump", ".txt", ".log", ".parquet", ".ntar")

# Devices as Neutron and Linux name them, inside a file name.
_DEVICE = re.compile(
    r"(?<![A-Za-z0-9])("
    r"(?:tap|qvo|qvb|qbr|qr-|qg-|sg-|ha-|rfp-|fpr-|fg-)[0-9a-f]{8}-[0-9a-f]{1,2}"
    r"|br-(?:int|ex|tun|vlan|[a-z0-9]{1,12})"
    r"|(?:en(?:p\d+)?s\d+|enp\d+s\d+f\d+|en[opx][0-9a-f]+|eth\d+|bond\d+|veth[0-9a-f]+|wlan\d+"
    r"|vxlan_sys_4789|vxlan\d+|virbr\d+|docker\d+)(?:np\d+|f\d+|d\d+)*(?:\.\d+)?"
    r")(?![A-Za-z0-9])"
)
_NETNS = re.compile(
    r"(?:qrouter|snat|fip|qdhcp)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
)
# A host's name ends with its number; a number alone, or a word of the trade before it, is no host.
_GENERAL = r"(?:out|in|cap|capture|dump|tcpdump|trace|pcap|test|run)[-_]?\d*$"
_HOST = re.compile(rf"^(?!{_GENERAL})[A-Za-z]")
_HOOKED = re.compile(r"(?P<device>[^\s/\[\]]{0,15})\[(?P<hook>[^\[\]]+)\]")
_KERNEL_NAME = re.compile(r"[^\s/]{1,15}")
_NUMBERED = re.compile(r"^(?:out|in)?\d+[-_]")  # captures in their order
_ANY = re.compile(r"(?<![A-Za-z0-9])any(?![A-Za-z0-9])")


def is_kernel_name(name: str) -> bool:
    """Return whether a device can be called so (the kernel's `dev_valid_name`)."""
    return _KERNEL_NAME.fullmatch(name) is not None


def is_general_word(text: str) -> bool:
    """Return whether a name is a word of the trade, maybe with a number, that names no place."""
    return re.match(_GENERAL, text) is not None


def stem_of(name: str) -> str:
    """Return a capture's name without folders, compression and capture suffix."""
    stem = Path(name).name
    for suffixes in (COMPRESSED, _CAPTURE):
        for suffix in suffixes:
            if stem.endswith(suffix) and len(stem) > len(suffix):
                stem = stem.removesuffix(suffix)
                break
    return stem


def point_in_name(name: str) -> Point:
    """Return what a file's name says: device, host and namespace in front of it, as far as known.

    `compute03-qr-1f6b0aa3-3d.pcap` is device qr-1f6b0aa3-3d on host compute03. A capture on `any`
    is one host's, whatever that is called; other hosts are known by the number they end with.
    """
    before, netns, device = _parts(name)
    sure = device == "any" or re.search(r"[0-9]$", before)
    host = before if device and sure and _HOST.match(before) else None
    return Point(host, netns, device if device != "any" else None)


def places_by_name(names: Sequence[str]) -> dict[str, Point]:
    """Return host and device of files whose names tell one device several times, by file name.

    One host has a device once, so what stands before the device tells hosts apart; it is then the
    host of every file that begins so, and what follows is the device, also where nothing else is
    called so. Empty where no device is told twice.
    """
    parts = {name: _parts(name) for name in dict.fromkeys(names)}
    prefixes: dict[tuple[str | None, str], set[str]] = {}
    for before, netns, device in parts.values():
        if device and device != "any":
            prefixes.setdefault((netns, device), set()).add(before)
    apart = {prefix for found in prefixes.values() if len(found) > 1 for prefix in found}
    hosts = sorted((prefix for prefix in apart if _HOST.match(prefix)), key=len, reverse=True)
    found: dict[str, Point] = {}
    for name, (before, _, device) in parts.items():
        if device and before in hosts:
            found[name] = Point(before, device=device if device != "any" else None)
        elif device is None and (point := _behind(hosts, name)) is not None:
            found[name] = point
    return found


def _behind(hosts: Sequence[str], name: str) -> Point | None:
    # The device of a file whose name begins with one of the hosts; the longest is given first.
    stem = _NUMBERED.sub("", stem_of(name))
    for host in hosts:
        device = stem.removeprefix(host).lstrip("-_. ")
        if stem.startswith(host) and stem[len(host) :] != device:
            is_device = is_kernel_name(device) and not is_general_word(device)
            return Point(host, device=device) if is_device else None
    return None


def _parts(name: str) -> tuple[str, str | None, str | None]:
    # What stands before the device, the namespace, and the device or "any".
    stem = stem_of(name)
    netns = _NETNS.search(stem)
    rest = stem.replace(netns.group(), "") if netns else stem
    found = [*_DEVICE.finditer(rest)] or [*_ANY.finditer(rest)]
    before = rest[: found[-1].start()].strip("-_. ") if found else ""
    before = _NUMBERED.sub("", before)
    return before, netns.group() if netns else None, found[-1].group() if found else None


def point_in_interface(name: str) -> Point | None:
    """Return the point that an interface is named after, None for a name that is a device's alone.

    HOST/DEVICE or HOST/NETNS/DEVICE, as `tracer` names interfaces in the pcapng files it writes; an
    unknown host is empty, and [prerouting] in place of the device or behind it is a hook.
    """
    *places, own = name.split("/")
    if not 1 <= len(places) <= 2 or not own or not (places[0] or len(places) == 2):
        return None
    host, netns = places[0] or None, places[1] or None if len(places) == 2 else None
    hooked = _HOOKED.fullmatch(own)
    if hooked:
        return Point(host, netns, hooked["device"] or None, hook=hooked["hook"])
    return Point(host, netns, own) if is_kernel_name(own) else None
