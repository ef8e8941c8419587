"""Which observation point a capture was made at: points.toml first, then what its names say."""

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tracer.core.address import encode_mac
from tracer.core.errors import InputError
from tracer.core.point import Direction, Point
from tracer.core.printable import sound
from tracer.sources.documents import toml_of
from tracer.sources.point_names import is_kernel_name, point_in_interface, point_in_name

POINTS_FILE = "points.toml"
ANY = "any"  # what tcpdump calls all devices together


@dataclass(frozen=True, slots=True)
class PointEntry:
    """One [[point]] of a points.toml; what it leaves out is None."""

    file: str
    host: str | None = None
    netns: str | None = None
    device: str | None = None
    clock: str | None = None
    mac: int | None = None
    direction: Direction = Direction.UNKNOWN
    interface: int | None = None  # of a pcapng file with several, counted over all sections
    ifindex: int | None = None  # of a capture on `any` (Linux SLL2)


def read_points(path: Path) -> list[PointEntry]:
    """Return the entries of a points.toml.

    Raises InputError that names line and key, also where two entries contradict each other: say
    different things of one file, or give one device two clocks or MACs.
    """
    text, document = toml_of(path)
    extra = sorted(set(document) - {"point", "conntrack", "rules"})  # others read the latter
    tables = document.get("point", [])
    if extra or not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
        key = extra[0] if extra else "point"
        line = _line_of(text, None, key)
        raise _error(
            path, line, key, "only [[point]], [[conntrack]] and [[rules]] tables belong here"
        )
    entries = [_entry(path, text, index, table) for index, table in enumerate(tables)]
    _refuse_contradictions(path, text, entries)
    return entries


def _refuse_contradictions(path: Path, text: str, entries: list[PointEntry]) -> None:
    # Nothing says which of two would be meant.
    files: dict[tuple[str, int | None, int | None], int] = {}
    devices: dict[tuple[str, str | None, str], int] = {}
    for index, entry in enumerate(entries):
        file = (os.path.normpath(entry.file), entry.interface, entry.ifindex)
        first = files.setdefault(file, index)
        if replace(entry, file="") != replace(entries[first], file=""):
            named = _line_of(text, first, "file")
            what = f"line {named} says something else of {entry.file}"
            raise _error(path, _line_of(text, index, "file"), "file", what)
        if entry.host is None or entry.device in (None, ANY):
            continue
        other = entries[devices.setdefault((entry.host, entry.netns, str(entry.device)), index)]
        for key in ("clock", "mac"):
            said, before = getattr(entry, key), getattr(other, key)
            if said != before and (key == "clock" or None not in (said, before)):
                what = f"it is another one than that of {entry.device} in {other.file}"
                raise _error(path, _line_of(text, index, key), key, what)


def _entry(path: Path, text: str, index: int, table: Mapping[str, Any]) -> PointEntry:
    values: dict[str, Any] = {}
    if "file" not in table:
        raise _error(path, _line_of(text, index, ""), "file", "it is missing from this [[point]]")
    for key, value in table.items():
        try:
            values[key] = _KEYS[key](value)
        except KeyError:
            known = ", ".join(_KEYS)
            raise _error(
                path, _line_of(text, index, key), key, f"unknown key (known are {known})"
            ) from None
        except ValueError as error:
            raise _error(path, _line_of(text, index, key), key, str(error)) from None
    return PointEntry(**values)


def _error(path: Path, line: int, key: str, what: str) -> InputError:
    return InputError(f"{path}, line {line}, key `{key}`: {what}.", "Correct that line.")


def _line_of(text: str, index: int | None, key: str) -> int:
    # tomllib does not say where a key stands; -1 counts [[point]] headers up to the wanted one.
    seen = -1
    start = 1
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"\s*\[\[\s*point\s*\]\]", line):
            seen += 1
            start = number if seen == index else start
        named = key and re.match(rf"\s*[\[\"']*{re.escape(key)}[\]\"']*\s*(=|\]|$)", line)
        if named and (index is None or seen == index):
            return number
    return start


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("it must be a text in quotes")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("it must be a number, 0 or more")
    return value


def _mac(value: object) -> int:
    try:
        return encode_mac(_text(value))
    except ValueError:
        raise ValueError("it must be a MAC address such as fa:16:3e:a4:58:8d") from None


def _direction(value: object) -> Direction:
    words = {d.label: d for d in (Direction.INGRESS, Direction.EGRESS)}
    if value not in words:
        raise ValueError("it must be ingress or egress")
    return words[str(value)]


_KEYS: dict[str, Any] = {
    "file": _text, "host": _text, "netns": _text, "device": _text, "clock": _text,
    "mac": _mac, "direction": _direction, "interface": _number, "ifindex": _number,
}  # fmt: skip


def entry_of_option(name: str, file: str) -> PointEntry:
    """Return the entry that `--point NAME=FILE` means; NAME is DEVICE, HOST/DEVICE or
    HOST/NETNS/DEVICE. Raises InputError when it is none of these.
    """
    parts = name.split("/")
    if len(parts) > 3 or not all(parts):
        raise InputError(
            f"--point {name}={file}: the name has to be DEVICE, HOST/DEVICE or HOST/NETNS/DEVICE.",
            f"Name it as in --point {shlex.quote(f'compute03/eth0={file}')}.",
        )
    parts = [sound(part) for part in parts]
    host = parts[0] if len(parts) > 1 else None
    return PointEntry(file, host, parts[1] if len(parts) == 3 else None, parts[-1])


@dataclass(frozen=True, slots=True)
class PointNaming:
    """Names the points of one capture: `entries` of points.toml first, then what the file says."""

    name: str  # the capture's
    fallback: str  # what to call the point when nothing names a device
    entries: tuple[PointEntry, ...] = ()
    told: Point | None = None  # by the names of all captures together

    @property
    def named(self) -> Point:
        """What the capture's name says of its point."""
        found = point_in_name(self.name)
        if self.told is None:
            return found
        host, device = found.host or self.told.host, found.device or self.told.device
        return replace(found, host=host, device=device)

    def point(
        self,
        interface: int = 0,
        if_name: str | None = None,
        ifindex: int = -1,
        direction: Direction = Direction.UNKNOWN,
        *,
        is_only: bool = True,
    ) -> Point:
        """Return the point of packets with this interface, SLL2 ifindex (-1 none) and direction.

        `is_only` tells whether the capture has no interface besides this one.
        """
        told = point_in_interface(if_name or "")
        if told is not None and self._entry(interface, ifindex) is None:
            return told.towards(direction)
        named = self.named
        device = if_name if if_name and is_kernel_name(if_name) and if_name != ANY else None
        if ifindex >= 0 and device is None:
            device = f"if{ifindex}"
        entry = self._entry(interface, ifindex)
        point = Point(named.host, named.netns, device or (named.device if is_only else None))
        if entry is not None:
            point = _override(point, entry, ifindex, device if not is_only else None)
            direction = entry.direction if direction is Direction.UNKNOWN else direction
        if point.device is None:
            number = "?" if interface < 0 else interface  # one the file does not describe
            fallback = self.fallback if is_only else f"{self.fallback}#{number}"
            point = replace(point, capture=fallback)
        return point.towards(direction)

    def text_point(self) -> tuple[Point, str | None]:
        """Return what is known of a tcpdump text's point, and the device its name may mean.

        The text itself may name the device, and knows better than the name of its file.
        """
        named = self.named
        entry = self._entry(0, -1)
        if entry is None:
            return replace(named, device=None), named.device
        point = _override(replace(named, device=None), entry, -1, None)
        return point.towards(entry.direction), named.device

    def _entry(self, interface: int, ifindex: int) -> PointEntry | None:
        for entry in self.entries:
            fits = entry.interface in (None, interface) and entry.ifindex in (None, ifindex)
            if fits and (entry.interface is not None or entry.ifindex is not None):
                return entry
        general = (e for e in self.entries if e.interface is None and e.ifindex is None)
        return next(general, None)


def _override(point: Point, entry: PointEntry, ifindex: int, own: str | None) -> Point:
    # An entry for the whole file names the device only where the file has no names of its own.
    is_general = entry.interface is None and entry.ifindex is None
    device = entry.device
    if is_general and own is not None:
        device = own
    elif device == ANY:  # all devices together are none of them
        device = point.device
    return Point(
        entry.host or point.host,
        entry.netns if entry.host or entry.netns else point.netns,
        device or point.device,
        clock=entry.clock,
        mac=entry.mac,
    )
