"""Text of tcpdump as people give it: names, pieces, pasted transcripts, damage."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tracer.core.address import NULL_U64, decode_mac
from tracer.core.enums import Decode
from tracer.core.point import Direction, Point
from tracer.sources.tcpdump_text import read_text, sniff


def test_names_instead_of_numbers() -> None:
    text = (
        "12:00:00.000001 IP web.example.com.http > 10.0.0.2.40000: Flags [S.], seq 3000000000, "
        "ack 2000000001, win 1, length 0\n"
        "12:00:00.000002 IP web.example.com > host: ICMP echo request, id 3, seq 4, length 64\n"
    )
    batch, warnings = read_text(text.encode())
    assert batch.packets["src_hi"].tolist() == [NULL_U64, NULL_U64]
    assert batch.packets["sport"].tolist() == [80, -1]
    assert batch.packets["tcp_seq"].tolist() == [3_000_000_000, -1]
    assert {w.kind: w.count for w in warnings}["unresolved-name"] == 2


def test_a_text_cut_off_at_its_start_leaves_relative_numbers_unknown() -> None:
    text = (
        "12:00:00.1 IP 10.0.0.1.5 > 10.0.0.2.80: Flags [P.], seq 1:12, ack 1, win 1, length 11\n"
        "12:00:00.2 IP 10.0.0.2.80 > 10.0.0.1.5: Flags [.], seq 1:101, ack 12, win 1, length 100\n"
    )
    batch, warnings = read_text(text.encode())
    assert batch.packets["tcp_seq"].tolist() == [-1, -1]
    assert batch.packets["tcp_ack"].tolist() == [-1, -1]
    assert batch.packets["payload_len"].tolist() == [11, 100]
    assert {w.kind: w.count for w in warnings}["relative-sequence"] == 2
    assert read_text(b"reading from file x.pcap, link-type EN10MB\n" + text.encode())[0].packets[
        "tcp_seq"
    ].tolist() == [1, 1]


COOKED = """\
tcpdump: listening on any, link-type LINUX_SLL2 (Linux cooked v2), snapshot length 262144 bytes
12:00:00.000001 qr-1f6b0aa3-3d In  IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 1, seq 1, length 64
12:00:00.000002 eth0  Out ifindex 2 02:00:00:00:00:01 ethertype IPv4 (0x0800), length 104: \
10.0.0.1 > 10.0.0.2: ICMP echo request, id 1, seq 1, length 64
12:00:00.000003  In 00:00:00:00:00:01 ethertype IPv4 (0x0800), length 100: (tos 0x0, ttl 9, id 1, \
offset 0, flags [none], proto ICMP (1), length 84)
    10.0.0.1 > 10.0.0.2: ICMP echo request, id 1, seq 1, length 64
3 packets captured
7 packets received by filter
4 packets dropped by kernel
"""


def test_cooked_lines_name_device_and_direction() -> None:
    batch, warnings = read_text(COOKED.encode())
    points = [batch.points[code] for code in batch.packets["point"]]
    assert [(p.device, p.direction) for p in points] == [
        ("qr-1f6b0aa3-3d", Direction.INGRESS),
        ("eth0", Direction.EGRESS),
        ("any", Direction.INGRESS),
    ]
    assert batch.packets["ttl"].tolist() == [-1, -1, 9]
    assert decode_mac(int(batch.packets["src_mac"][1])) == "02:00:00:00:00:01"
    assert {w.kind: w.count for w in warnings} == {"date-unknown": 3, "capture-dropped": 4}


PASTED = """\
some words about the outage
root@compute03:~# ip netns exec qrouter-b6a8 tcpdump -env -i qr-1f6b0aa3-3d icmp
tcpdump: listening on qr-1f6b0aa3-3d, link-type EN10MB (Ethernet), capture size 262144 bytes
^C15:36:45.491466 fa:16:3e:a4:58:8d > fa:16:3e:ff:d5:8b, ethertype 802.1Q (0x8100), length 102: \
vlan 20, p 0, ethertype IPv4, (tos 0x0, ttl 64, id 150, offset 0, flags [DF], proto ICMP (1), \
length 84)
    b: ICMP echo request, id 22344, seq 16662, length 64
15:36:45.492604 IP (tos 0x0, ttl 61, id 20170, offset 0, flags [none], proto ICMP (1), length 84)
100.121.0.75 > 192.168.3.69: ICMP echo reply, id 22344, seq 16662, length 64    # and a remark
^C  # stopped here
2 packets captured
root@compute03:~# tcpdump -nn -i eth7
> 15:36:50.000000 IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 1, seq 1, length 64
15:36:51.000000 IP nonsense
root@compute03:~# exit
"""


def test_a_pasted_transcript() -> None:
    batch, warnings = read_text(PASTED.encode(), capture="ticket.txt")
    points = [batch.points[code] for code in batch.packets["point"]]
    first = Point(host="compute03", netns="qrouter-b6a8", device="qr-1f6b0aa3-3d")
    assert points == [first, first, *[Point(host="compute03", device="eth7")] * 2]
    assert batch.packets["ip_id"].tolist() == [150, 20170, -1, -1]
    assert batch.packets["vlan"].tolist() == [20, -1, -1, -1]
    assert batch.packets["icmp_seq"].tolist() == [16662, 16662, 1, -1]
    assert batch.packets["src_hi"].tolist() == [NULL_U64, 0, 0, NULL_U64]
    assert batch.packets["decode"].tolist()[-1] == Decode.MALFORMED
    found = {w.kind: (w.count, w.offset) for w in warnings}
    assert found["addresses-missing"] == (1, PASTED.index("^C15:36"))
    assert found["unparsed-line"] == (1, PASTED.index("15:36:51.0"))
    assert found["ignored-line"] == (1, 0)


def test_a_transcript_is_known_by_its_packets() -> None:
    assert sniff(PASTED.encode())


def test_points_given_come_first() -> None:
    given_point = Point(host="compute09", netns="fip", device="fg-1", clock="vm")
    batch, _ = read_text(PASTED.encode(), point=given_point)
    assert batch.points == (given_point,)
    line = "12:00:00.1 IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 1, seq 1, length 64\n"
    batch, _ = read_text(line.encode(), device_hint="tap0")
    assert batch.points[0].device == "tap0"


def test_empty_and_binary_input_are_no_packets() -> None:
    for data in (b"", b"\n\n", bytes(range(256)) * 100):
        batch, _ = read_text(data)
        assert len(batch) == 0
        assert batch.captures == ("-",)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_text_never_fails_and_never_loses_a_stamped_line(data: st.DataObject) -> None:
    text = PASTED + COOKED
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    noise = data.draw(st.text(max_size=20).filter(lambda t: "\n" not in t and "\r" not in t))
    damaged = text[:start] + noise + text[end:]
    batch, _ = read_text(damaged.encode("utf-8", "surrogatepass"))
    stamped = [line for line in damaged.split("\n") if line[:3] in ("12:", "15:")]
    whole = [line for line in stamped if line[8:9] == "." and " IP " in line]
    assert len(batch) >= len([line for line in whole if line.count(":") >= 3])


def test_a_device_that_is_not_utf8_is_shown_as_its_bytes() -> None:
    text = (
        b"tcpdump: listening on eth\xb20, link-type EN10MB (Ethernet), capture size 262144 bytes\n"
        b"15:42:46.291965 IP (tos 0x0, ttl 64, id 1, offset 0, flags [DF], proto ICMP (1), length "
        b"84)\n    10.0.0.1 > 10.0.0.2: ICMP echo request, id 7, seq 1, length 64\n"
    )
    batch, _ = read_text(text)
    assert [point.device for point in batch.points] == ["eth\\xb20"]
