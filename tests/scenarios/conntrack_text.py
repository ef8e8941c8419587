"""Conntrack entries as conntrack(8) v1.4.7 and the kernel print them, in each of their forms."""

from collections.abc import Sequence

from tracer.core.conntrack import ConntrackEntry, Tuple

FORMS = ("plain", "extended", "id", "proc", "xml", "events")
_NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}
_ANSWERS = {8: 0, 128: 129}
_EPOCH_NS = 1_000_000_000


def printed(entries: Sequence[ConntrackEntry], form: str) -> bytes:
    """Return the text of a form; `events` has entries that have times, in order of those."""
    if form == "xml":
        flows = "\n".join(_flow(entry, n) for n, entry in enumerate(entries, 7))
        head = '<?xml version="1.0" encoding="utf-8"?>\n<conntrack>\n'
        return f"{head}{flows}\n</conntrack>\n".encode()
    lines = [_line(entry, form, n) for n, entry in enumerate(entries, 7)]
    return "".join(f"{line}\n" for line in lines).encode()


def _line(entry: ConntrackEntry, form: str, number: int) -> str:
    proto, state = entry.original.proto, "ESTABLISHED " if entry.original.proto == 6 else ""
    is_gone = entry.event == "DESTROY"
    life = "" if is_gone else f"29 {state}"
    text = f"{_NAMES[proto]:<8} {proto} {life}{_way(entry.original, 0)} {_way(entry.reply, 1)}"
    text += "" if is_gone else " mark=0"
    family = "ipv6     10 " if ":" in entry.original.src else "ipv4     2 "
    if form == "events":
        seconds, rest = divmod(entry.time_ns or 0, _EPOCH_NS)
        event = f"[{entry.event}]"
        return f"[{seconds}.{rest // 1000:06}]\t{event:>9} {text}"
    if form == "proc":
        return f"{family}{text} zone=0 use=2"
    text += " use=1" + (f" id={number}" if form == "id" else "")
    return family + text if form == "extended" else text


def _way(way: Tuple, reply: int) -> str:
    text = f"src={way.src} dst={way.dst}"
    if way.icmp_id is None:
        return f"{text} sport={way.sport} dport={way.dport}"
    kind = 128 if way.proto == 58 else 8
    return f"{text} type={_ANSWERS[kind] if reply else kind} code=0 id={way.icmp_id}"


def _flow(entry: ConntrackEntry, number: int) -> str:
    ways = "".join(
        _meta(way, name) for way, name in ((entry.original, "original"), (entry.reply, "reply"))
    )
    return (
        f'<flow>{ways}<meta direction="independent"><timeout>29</timeout><mark>0</mark>'
        f"<use>1</use><id>{number}</id></meta></flow>"
    )


def _meta(way: Tuple, direction: str) -> str:
    number, name = ("10", "ipv6") if ":" in way.src else ("2", "ipv4")
    ports = "" if way.sport is None else f"<sport>{way.sport}</sport><dport>{way.dport}</dport>"
    return (
        f'<meta direction="{direction}"><layer3 protonum="{number}" protoname="{name}">'
        f"<src>{way.src}</src><dst>{way.dst}</dst></layer3>"
        f'<layer4 protonum="{way.proto}" protoname="{_NAMES[way.proto]}">{ports}</layer4></meta>'
    )
