"""What tcpdump says about a capture: the oracle, read with as little of our own code as can be."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

_LINK = re.compile(
    r"^\d\d:\d\d:\d\d\.\d+ (?P<src_mac>[\da-f:]{17}) > (?P<dst_mac>[\da-f:]{17}), "
    r"ethertype (?:802\.1Q \(0x8100\), length \d+: vlan (?P<vlan>\d+), p 0, ethertype )?"
    r"(?P<type>IPv4|ARP).*?(?: ttl (?P<ttl>\d+), id (?P<ip_id>\d+),|$)"
)
_ECHO = re.compile(
    r"^\s+(?P<src>[\d.]+) > (?P<dst>[\d.]+): ICMP echo (?P<kind>request|reply), "
    r"id (?P<id>\d+), seq (?P<seq>\d+)"
)


@dataclass(frozen=True, slots=True)
class Echo:
    """One echo request or reply as `tcpdump -nev` prints it."""

    kind: str
    src_mac: str
    dst_mac: str
    vlan: int | None
    ttl: int
    src: str
    dst: str
    icmp_id: int
    icmp_seq: int


def echoes(path: Path) -> list[Echo]:
    """Return every echo of a capture, the innermost one where it is inside a tunnel."""
    found, link = [], None
    for line in text(path).splitlines():
        link = _LINK.match(line) or link
        inside = re.search(r"((?:[\da-f]{2}:){5}[\da-f]{2}) > (\S{17}), ethertype IPv4", line)
        if (echo := _ECHO.match(line)) and link:
            found.append(_echo(link, echo))
        elif inside and not _LINK.match(line):
            link = _LINK.match(f"00:00:00.0 {line}") or link
    return found


def _echo(link: re.Match[str], echo: re.Match[str]) -> Echo:
    vlan = int(link["vlan"]) if link["vlan"] else None
    ends = link["src_mac"], link["dst_mac"], vlan, int(link["ttl"]), echo["src"], echo["dst"]
    return Echo(echo["kind"], *ends, int(echo["id"]), int(echo["seq"]))


def text(path: Path, *options: str) -> str:
    """Return `tcpdump -nev` of a capture."""
    argv = ["tcpdump", "-nev", *options, "-r", str(path)]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout
