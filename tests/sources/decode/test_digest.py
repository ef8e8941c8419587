"""The payload digest tells packets apart by payload, and by nothing else."""

import pytest
from decoding import decoded, value
from scapy.all import ICMP, IP, TCP, UDP, Dot1Q, Ether, IPv6, Packet, Raw

PAYLOAD = bytes(range(256)) * 4


def digest_of(packet: Packet | bytes, snaplen: int = 1 << 16) -> int | None:
    raw = bytes(packet)
    return value(decoded([raw[:snaplen]], wire=[len(raw)]), 0, "payload_digest")


@pytest.mark.parametrize("header", [TCP(), UDP(dport=61000), ICMP(id=1, seq=1)])
def test_the_same_at_every_hop(header: Packet) -> None:
    """Addresses, ports, ids, TTL, checksums, tags and padding change on the way; this does not."""
    first = Ether() / IP(src="10.0.0.1", ttl=64, id=1) / header / Raw(b"only this")
    other = header.copy()
    if isinstance(header, ICMP):
        other.id = 36215
    else:
        other.sport = 40000
    second = Ether() / Dot1Q(vlan=20) / IP(src="100.122.0.1", ttl=60, id=1, tos=8) / other
    assert digest_of(first) == digest_of(second / Raw(b"only this"))
    assert digest_of(first) == digest_of(bytes(first).ljust(80, b"\xff"))
    assert digest_of(first) != digest_of(second / Raw(b"only that"))


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 127, 128, 129, 1000])
def test_no_two_snap_lengths_disagree(length: int) -> None:
    packet = Ether() / IP() / UDP(dport=61000) / Raw(PAYLOAD[:length])
    whole = digest_of(packet)
    needed = 42 + min(length, 128)
    assert whole is not None
    assert {digest_of(packet, snaplen) for snaplen in range(needed, 42 + length + 1)} == {whole}
    assert digest_of(packet, needed - 1) is None


def test_lengths_and_trailing_zeros_count() -> None:
    packets = [Ether() / IP() / UDP(dport=61000) / Raw(b"\0" * n) for n in range(129)]
    assert len({digest_of(packet) for packet in packets}) == 129


def test_first_segment_of_a_super_packet_has_its_digest() -> None:
    frame = Ether() / IP() / TCP()
    assert digest_of(frame / Raw(PAYLOAD)) == digest_of(frame / Raw(PAYLOAD[:256]))


def test_every_bit_of_the_first_128_bytes_counts() -> None:
    changed = []
    for bit in range(128 * 8):
        payload = bytearray(PAYLOAD[:200])
        payload[bit // 8] ^= 1 << bit % 8
        changed.append(bytes(Ether() / IP() / UDP(dport=61000) / Raw(bytes(payload))))
    digests = decoded(changed).packets["payload_digest"]
    assert len(set(digests.tolist())) == len(changed)


def test_errors_have_none() -> None:
    """NAT rewrites the quoted packet, so its bytes differ from hop to hop."""
    quote = IP() / UDP(dport=53)
    assert digest_of(Ether() / IP() / ICMP(type=3, code=1) / quote) is None
    sixth = bytes(IPv6() / UDP(dport=53))
    error = Raw(b"\1\0\0\0\0\0\0\0" + sixth)
    assert digest_of(Ether() / IPv6(nh=58) / error) is None


def quoting(quoted: Packet, captured: int | None = None) -> int | None:
    """Return the digest of what an error quotes behind the headers."""
    if quoted.version == 6:
        frame = bytes(Ether() / IPv6(nh=58) / Raw(b"\1\4" + bytes(6) + bytes(quoted)))
    else:
        frame = bytes(Ether() / IP() / ICMP(type=3, code=3) / quoted)
    found = decoded([frame[:captured]], wire=[len(frame)])
    return value(found, 0, "inner_payload_digest")


@pytest.mark.parametrize("l4", [UDP(sport=61000), TCP(sport=61000), TCP(options=[("MSS", 9)])])
@pytest.mark.parametrize("ip", [IP(id=7), IPv6(fl=7)])
def test_what_is_quoted_has_the_digest_of_the_packet_itself(ip: Packet, l4: Packet) -> None:
    for size in (0, 5, 128, 300):
        payload = Raw(PAYLOAD[:size])
        assert quoting(ip / l4 / payload) == digest_of(Ether() / ip / l4 / payload)


def test_a_translated_quote_keeps_its_digest() -> None:
    before, after = (
        IP(src=src, dst="192.0.2.9") / UDP(sport=sport, dport=61001) / Raw(PAYLOAD[:40])
        for src, sport in (("10.0.0.1", 61002), ("198.51.100.1", 61003))
    )
    other = IP() / UDP(dport=61001) / Raw(PAYLOAD[1:41])
    assert quoting(before) == quoting(after)
    assert quoting(before) not in (None, quoting(other))


def test_a_quote_that_was_not_captured_has_none() -> None:
    packet = IP() / UDP(dport=61001) / Raw(PAYLOAD[:40])
    whole, end = quoting(packet), 14 + 20 + 8 + 28 + 40
    assert [quoting(packet, size) for size in (end - 1, end)] == [None, whole]
    # Eight bytes behind the IP header are quoted at least (RFC 792): then it is of no bytes.
    first = quoting(IP(bytes(IP() / TCP(dport=61001))[:28]))
    assert first == quoting(IP(bytes(IP() / TCP(dport=61002))[:28])) is not None
