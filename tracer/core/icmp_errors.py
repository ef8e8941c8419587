"""What ICMP errors say, in words. A journey's title and its reason name them alike."""

_Codes = dict[tuple[int, int], str]  # by type and code
# RFC 792 and its registry at IANA, those that say why a packet was not delivered.
_V4: _Codes = {
    (3, 0): "network unreachable",
    (3, 1): "host unreachable",
    (3, 2): "protocol unreachable",
    (3, 3): "port unreachable",
    (3, 4): "fragmentation needed",
    (3, 9): "network prohibited",
    (3, 10): "host prohibited",
    (3, 13): "administratively prohibited",
    (5, 0): "redirect",
    (5, 1): "redirect",
    (11, 0): "TTL exceeded in transit",
    (11, 1): "reassembly time exceeded",
}
# RFC 4443 and its registry at IANA.
_V6: _Codes = {
    (1, 0): "no route",
    (1, 1): "administratively prohibited",
    (1, 2): "beyond scope of source address",
    (1, 3): "address unreachable",
    (1, 4): "port unreachable",
    (1, 5): "source address failed policy",
    (1, 6): "route rejected",
    (2, 0): "packet too big",
    (3, 0): "hop limit exceeded in transit",
    (3, 1): "reassembly time exceeded",
    (4, 0): "erroneous header field",
    (4, 1): "unknown next header",
    (4, 2): "unknown option",
}
_TYPES = {
    4: {3: "destination unreachable", 4: "source quench", 5: "redirect", 11: "time exceeded",
        12: "parameter problem"},
    6: {1: "destination unreachable", 2: "packet too big", 3: "time exceeded",
        4: "parameter problem"},
}  # fmt: skip


def error_name(version: int | None, type_: int | None, code: int | None) -> str:
    """Return the words for an ICMP error of an IP version, with type and code where it has none.

    `port unreachable`; `destination unreachable, code 14`; `type 99, code 0`; `type unknown`.
    """
    if type_ is None:
        return "type unknown"
    named = None if code is None else {4: _V4, 6: _V6}.get(version or 0, {}).get((type_, code))
    if named is not None:
        return named
    kind = _TYPES.get(version or 0, {}).get(type_, f"type {type_}")
    return kind if code is None else f"{kind}, code {code}"
