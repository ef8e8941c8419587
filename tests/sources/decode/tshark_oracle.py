"""What Wireshark's dissectors say of a capture, in the columns of an observation.

tshark lists every occurrence of a field over all layers of a packet; the protocols it names in
order tell which occurrence is whose. Ours are those of the innermost IP header that is not quoted
in an ICMP error, and of the Ethernet header before it.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

FIELDS = (
    *("frame.number", "frame.time_epoch", "frame.protocols", "eth.src", "eth.dst", "sll.src.eth"),
    *("vlan.id", "ieee8021ad.id", "ip.src", "ip.dst", "ip.ttl", "ip.id", "ip.proto"),
    *("ipv6.src", "ipv6.dst", "ipv6.hlim", "ipv6.nxt", "ipv6.hopopts.nxt", "ipv6.routing.nxt"),
    *("ipv6.fraghdr.nxt", "ipv6.dstopts.nxt", "ipv6.fraghdr.ident", "ah.next_header"),
    *("tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "sctp.srcport", "sctp.dstport"),
    *("dccp.srcport", "dccp.dstport"),
    *("tcp.seq", "tcp.ack", "tcp.flags", "tcp.window_size_value", "tcp.options.timestamp.tsval"),
    *("icmp.type", "icmp.ident", "icmp.seq", "icmpv6.type", "icmpv6.echo.identifier"),
    *("icmpv6.echo.sequence_number", "mpls.label", "vxlan.vni", "geneve.vni", "gre.key"),
    *("arp.opcode", "arp.src.hw_mac", "arp.dst.hw_mac", "arp.src.proto_ipv4", "arp.dst.proto_ipv4"),
)  # fmt: skip
PREFERENCES = (
    "tcp.relative_sequence_numbers:FALSE",
    "tcp.desegment_tcp_streams:FALSE",
    "tcp.analyze_sequence_numbers:FALSE",
    "ip.defragment:FALSE",
    "ipv6.defragment:FALSE",
    "ip.decode_tos_as_diffserv:FALSE",
)
_EXTENSIONS = {
    "ipv6.hopopts": "ipv6.hopopts.nxt",
    "ipv6.routing": "ipv6.routing.nxt",
    "ipv6.fraghdr": "ipv6.fraghdr.nxt",
    "ipv6.dstopts": "ipv6.dstopts.nxt",
    "ah": "ah.next_header",
}
_TAGS = {"vlan": "vlan.id", "ieee8021ad": "ieee8021ad.id"}


def dissect(path: Path) -> list["Dissection"]:
    """Return a dissection for every packet of a capture."""
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "occurrence=a"]
    command += ["-E", "separator=/t", "-E", "aggregator=|"]
    command += [word for name in PREFERENCES for word in ("-o", name)]
    command += [word for name in FIELDS for word in ("-e", name)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = text.splitlines()
    return [
        Dissection(
            {
                name: value.split("|") if value else []
                for name, value in zip(FIELDS, line.split("\t"), strict=True)
            }
        )
        for line in lines
    ]


@dataclass(frozen=True)
class Dissection:
    """One packet's fields, each with all its occurrences."""

    fields: dict[str, list[str]]

    @property
    def protocols(self) -> list[str]:
        """Layers from the outside in, up to and with the first ICMP."""
        names = self.fields["frame.protocols"][0].split(":")
        for n, name in enumerate(names):
            if name in ("icmp", "icmpv6"):
                return names[: n + 1]
        return names

    @property
    def is_ip(self) -> bool:
        """Whether there is an IP header at all."""
        return any(name in ("ip", "ipv6") for name in self.protocols)

    @property
    def has_ip_inside(self) -> bool:
        """Whether an IP header is the innermost thing: a tunnel may carry something else."""
        last = self._ip_places()[-1]
        return not any(name in ("vxlan", "geneve", "gre") for name in self.protocols[last:])

    @property
    def is_tunnelled(self) -> bool:
        """Whether there are several IP headers, or one with a tunnel inside."""
        return len(self._ip_places()) > 1 or not self.has_ip_inside

    def columns(self, outermost: bool = False) -> dict[str, int | str | None]:
        """Return the columns of the innermost (or outermost) IP header, None for what is not shown.

        An IP header right inside an Ethernet frame has that frame's MACs and tags.
        """
        places = self._ip_places()
        place = places[0 if outermost else -1]
        end = places[1] if outermost and len(places) > 1 else len(self.protocols)
        names = self.protocols[:end]
        found: dict[str, int | str | None] = {
            "frame": int(self.fields["frame.number"][0]),
            "time_ns": _nanoseconds(self.fields["frame.time_epoch"][0]),
            **self._link(names[: place + 1]),
        }
        if names[place] == "ip":
            found |= self._ipv4(names[: place + 1].count("ip") - 1)
        else:
            found |= self._ipv6(names, place)
        return found | self._transport(names, place)

    def sections(self) -> dict[str, int | str | None]:
        """Return what the sparse sections and the MPLS column hold, of what tshark shows."""
        found: dict[str, int | str | None] = {}
        names = self.protocols
        if "mpls" in names:
            found["mpls_label"] = self._number("mpls.label", 0)
        if names[-1] == "arp" and self._at("arp.dst.proto_ipv4", 0) is not None:
            found["arp_op"] = self._number("arp.opcode", 0)
            found["arp_sender_mac"] = self._at("arp.src.hw_mac", 0)
            found["arp_target_mac"] = self._at("arp.dst.hw_mac", 0)
            found["arp_sender_ip"] = self._at("arp.src.proto_ipv4", 0)
            found["arp_target_ip"] = self._at("arp.dst.proto_ipv4", 0)
        tunnels = [name for name in names if name in ("vxlan", "geneve", "gre")]
        places = self._ip_places()
        is_whole = bool(places) and self.columns()["ttl"] is not None
        if tunnels and is_whole and len(places) > 1 and names[places[0] + 1] == "udp":
            found["vni"] = self._number(f"{tunnels[0]}.vni", 0)
        return found

    def _ip_places(self) -> list[int]:
        return [n for n, name in enumerate(self.protocols) if name in ("ip", "ipv6")]

    def _at(self, field: str, occurrence: int) -> str | None:
        values = self.fields[field]
        return values[occurrence] if 0 <= occurrence < len(values) else None

    def _number(self, field: str, occurrence: int) -> int | None:
        value = self._at(field, occurrence)
        return None if value is None else int(value, 0)

    def _link(self, names: list[str]) -> dict[str, int | str | None]:
        # The last Ethernet header before the IP header, and the tags between the two.
        start = max((n for n, name in enumerate(names) if name == "eth"), default=-1)
        tags = []
        for n, name in enumerate(names):
            if name in _TAGS and n > start:
                tags.append(self._number(_TAGS[name], names[:n].count(name)))
        ethernet = names.count("eth") - 1
        return {
            "src_mac": self._at("eth.src", ethernet) or self._at("sll.src.eth", 0),
            "dst_mac": self._at("eth.dst", ethernet),
            "vlan": tags[0] if tags else None,
            "vlan_inner": tags[1] if len(tags) > 1 else None,
        }

    def _ipv4(self, n: int) -> dict[str, int | str | None]:
        return {
            "src": self._at("ip.src", n),
            "dst": self._at("ip.dst", n),
            "ttl": self._number("ip.ttl", n),
            "ip_id": self._number("ip.id", n),
            "proto": self._number("ip.proto", n),
        }

    def _ipv6(self, names: list[str], last: int) -> dict[str, int | str | None]:
        n = names[: last + 1].count("ipv6") - 1
        proto = self._number("ipv6.nxt", n)
        ident = None
        for k in range(last + 1, len(names)):
            if names[k] not in _EXTENSIONS:
                break
            proto = self._number(_EXTENSIONS[names[k]], names[:k].count(names[k]))
            if names[k] == "ipv6.fraghdr":
                ident = self._number("ipv6.fraghdr.ident", names[:k].count("ipv6.fraghdr"))
        if proto in (0, 43, 44, 51, 60):
            proto = None  # an extension header that the capture cuts: what follows is not known
        return {
            "src": self._at("ipv6.src", n),
            "dst": self._at("ipv6.dst", n),
            "ttl": self._number("ipv6.hlim", n),
            "ip_id": ident,
            "proto": proto,
        }

    def _transport(self, names: list[str], last: int) -> dict[str, int | str | None]:
        found: dict[str, int | str | None] = {}
        rest = names[last + 1 :]
        for name in ("tcp", "udp", "udplite", "sctp", "dccp"):
            if name in rest:
                n = names[: last + 1].count(name)
                prefix = name.removesuffix("lite")
                if prefix == "udp":
                    n = sum(each in ("udp", "udplite") for each in names[: last + 1])
                found["sport"] = self._number(f"{prefix}.srcport", n)
                found["dport"] = self._number(f"{prefix}.dstport", n)
        if "tcp" in rest:
            n = names[: last + 1].count("tcp")
            found["tcp_seq"] = self._number("tcp.seq", n)
            found["tcp_ack"] = self._number("tcp.ack", n)
            found["tcp_flags"] = self._number("tcp.flags", n)
            found["tcp_window"] = self._number("tcp.window_size_value", n)
        if "icmp" in rest:
            found["icmp_type"] = self._number("icmp.type", 0)
            found["icmp_id"] = self._number("icmp.ident", 0) if self._own_echo() else None
            found["icmp_seq"] = self._number("icmp.seq", 0) if self._own_echo() else None
        if "icmpv6" in rest:
            found["icmp_type"] = self._number("icmpv6.type", 0)
            found["icmp_id"] = self._number("icmpv6.echo.identifier", 0)
            found["icmp_seq"] = self._number("icmpv6.echo.sequence_number", 0)
        return found

    def _own_echo(self) -> bool:
        # In an error the identifier listed is the quoted packet's.
        return self._number("icmp.type", 0) not in (3, 4, 5, 11, 12)


def _nanoseconds(text: str) -> int:
    seconds, _, fraction = text.partition(".")
    return int(seconds) * 1_000_000_000 + int(fraction.ljust(9, "0")[:9])
