"""What a packet, a change and an outcome are called in text."""

from datetime import UTC, datetime

from tracer.core.hop import Change, Hop
from tracer.core.icmp_errors import error_name
from tracer.core.journey import Journey
from tracer.core.observation import Observation
from tracer.report.roles import short_label

_FLAGS = "FSRPAUEC"  # from the lowest bit; the words tcpdump and Wireshark abbreviate alike
_KINDS = {
    "echo-request": "ICMP echo request",
    "echo-reply": "ICMP echo reply",
    "icmp-error": "ICMP error",
    "icmp-other": "ICMP",
    "tcp-syn": "TCP SYN",
    "tcp-syn-ack": "TCP SYN-ACK",
    "tcp-data": "TCP data",
    "tcp-ack": "TCP ACK",
    "tcp-fin": "TCP FIN",
    "tcp-rst": "TCP RST",
    "udp": "UDP",
    "arp-request": "ARP request",
    "arp-reply": "ARP reply",
    "fragment": "fragment",
}


def packet_title(journey: Journey) -> str:
    """Return what the packet is and between whom, as its first hop saw it."""
    seen = journey.hops[0].observation
    kind = _KINDS.get(journey.kind, (journey.proto or "packet").upper())
    if journey.proto == "icmpv6":
        kind = kind.replace("ICMP", "ICMPv6")
    if journey.kind == "icmp-error":
        kind += f" ({error_name(seen.ip_version, seen.icmp_type, seen.icmp_code)})"
    if seen.arp_op is not None:
        return f"{kind} {_arp(seen)}"
    if seen.src is None:
        return f"{kind} {seen.src_mac} → {seen.dst_mac}" if seen.src_mac else kind
    return f"{kind} {endpoint(seen.src, seen.sport)} → {endpoint(seen.dst, seen.dport)}"


def packet_details(observation: Observation) -> list[str]:
    """Return what tells the packet from others of its flow: id, seq, ack, flags, length."""
    seen, words = observation, []
    if seen.icmp_id is not None:
        words.append(f"id {seen.icmp_id}")
    if seen.icmp_seq is not None:
        words.append(f"seq {seen.icmp_seq}")
    if seen.tcp_flags is not None:
        words.append(f"[{flag_letters(seen.tcp_flags)}]")
    if seen.tcp_seq is not None:
        words.append(f"seq {seen.tcp_seq}")
    if seen.tcp_ack is not None and (seen.tcp_flags or 0) & 0x10:
        words.append(f"ack {seen.tcp_ack}")
    if seen.payload_len is not None and seen.proto in (6, 17):
        words.append(f"payload {seen.payload_len}")
    if seen.frag_offset or seen.more_fragments:
        words.append(f"fragment at {seen.frag_offset}")
    if seen.inner_src is not None:
        inner = endpoint(seen.inner_src, seen.inner_sport)
        words.append(f"about {inner} → {endpoint(seen.inner_dst, seen.inner_dport)}")
    return words


def endpoint(address: str | None, port: int | None) -> str:
    """Return `address:port`, brackets around IPv6, `?` for an unknown address."""
    text = address or "?"
    if port is None:
        return text
    return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"


def flag_letters(flags: int) -> str:
    """Return TCP flags as letters (`SA`), a dot for none."""
    return "".join(letter for bit, letter in enumerate(_FLAGS) if flags >> bit & 1) or "."


def microseconds(nanoseconds: int) -> str:
    """Return a duration in µs with one decimal: `31.0 µs`."""
    return f"{nanoseconds / 1000:.1f} µs"


def clock_time(time_ns: int | None) -> str:
    """Return the UTC time of day, `09:29:04.123456`; nanoseconds are cut off. None is `unknown`."""
    if time_ns is None:
        return "unknown"
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%H:%M:%S}.{rest // 1000:06d}"


def date(time_ns: int | None) -> str | None:
    """Return the UTC date, `2024-05-10`; None where the time is not known, and on the first day of
    the epoch, where readers keep stamps that have no date.
    """
    if time_ns is None:
        return None
    day = time_ns // 86_400_000_000_000
    return f"{datetime.fromtimestamp(day * 86_400, UTC):%Y-%m-%d}" if day else None


def cause_word(cause: str) -> str:
    """Return a cause with the abbreviations people know: `SNAT`, `un-DNAT`."""
    return cause.replace("snat", "SNAT").replace("dnat", "DNAT")


def evidence_words(hop: Hop) -> str | None:
    """Return what a step rests on, None where it speaks for itself.

    It does when it is certain and nothing was rewritten: one buffer, or equal packets side by side.
    """
    join = hop.join
    if join is None:
        return None
    words = [join.evidence]
    if join.candidates is not None and join.candidates > 1:
        words.append(f"1 of {join.candidates} candidates")
    if join.confidence is not None and join.confidence < 0.995:
        words.append(f"{join.confidence:.0%} sure")
    rewritten = any(
        change.field in ("src", "dst", "sport", "dport", "icmp_id") for change in hop.changes
    )
    if (
        len(words) == 1
        and (join.evidence == "skb" or not rewritten)
        and join.evidence not in ("sequence", "renumbered")
    ):
        return None
    return f"[{', '.join(words)}]"


def outcome_words(journey: Journey) -> str:
    """Return how the journey ended, where and why."""
    where = short_label(journey.outcome_point) if journey.outcome_point else None
    words = {
        "vanished": "vanished after", "dropped": "dropped at", "delivered": "delivered at",
        "unfinished": "unfinished, last seen at", "answered-elsewhere": "answered elsewhere, after",
        "not-observable": "not observable beyond", "lost-by-tracer": "lost by tracer after",
    }.get(journey.outcome, journey.outcome)  # fmt: skip
    if journey.outcome == "unfinished" and len(journey.hops) == 1:
        words, where = "seen at this point only", None
    if where is None:
        text = words.removesuffix(" at").removesuffix(" after").removesuffix(", last seen")
    else:
        text = f"{words} {where}"
    return f"{text}: {journey.reason}" if journey.reason else text


def change_words(change: Change) -> str:
    """Return a change that has no words of its own: `tos 0→16`."""
    name = {"icmp_id": "id", "icmp_seq": "seq", "ip_len": "length", "ip_id": "IP id"}.get(
        change.field, change.field.replace("_", " ")
    )
    return f"{name} {_shown(change.before)}→{_shown(change.after)}"


def _shown(value: object) -> str:
    return "none" if value is None else str(value)


def _arp(seen: Observation) -> str:
    if seen.arp_op == 1:
        return f"who has {seen.arp_target_ip}, tell {seen.arp_sender_ip}"
    if seen.arp_op == 2:
        return f"{seen.arp_sender_ip} is at {seen.arp_sender_mac}"
    return f"operation {seen.arp_op} from {seen.arp_sender_ip}"
