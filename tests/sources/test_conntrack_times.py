"""Stamps of `conntrack -o ktimestamp`, as conntrack v1.4.7 prints them of one entry."""

from dataclasses import replace

import pytest

from tracer.core.conntrack import ConntrackEntry
from tracer.sources.conntrack import read_conntrack

START_NS, STOP_NS = 1_795_704_954_706_147_248, 1_795_704_984_867_106_635
SECOND_NS = 1_000_000_000
HOURS_NS = 3600 * SECOND_NS
UDP = (
    "udp      17 29 src=10.9.0.1 dst=10.9.0.2 sport=48189 dport=53 packets=1 bytes=84 "
    "src=10.9.0.2 dst=10.9.0.7 sport=53 dport=1024 packets=1 bytes=84 mark=0 delta-time=0 "
)
DUMPED = UDP + "[start=Thu Nov 26 14:55:54 2026] use=1 id=4187253797"
KOLKATA = "[start=Thu Nov 26 20:25:54 2026] [stop=Thu Nov 26 20:26:24 2026]"
GONE = f"[1795704984.867139]\t[DESTROY] {UDP}{KOLKATA} id=4187253797"
WHEN = (
    "<when><hour>20</hour><min>26</min><sec>24</sec><wday>5</wday><day>26</day><month>11</month>"
    "<year>2026</year></when>"
)
STAMPS = f"<timestamp><start>{START_NS}</start><stop>{STOP_NS}</stop></timestamp>"


def flow(kind: str = "", about: str = "", end: str = "") -> str:
    ways = "".join(
        f'<meta direction="{name}"><layer3 protonum="2" protoname="ipv4"><src>{src}</src>'
        f'<dst>{dst}</dst></layer3><layer4 protonum="17" protoname="udp"><sport>{sport}</sport>'
        f"<dport>{dport}</dport></layer4></meta>"
        for name, src, dst, sport, dport in (
            ("original", "10.9.0.1", "10.9.0.2", 48189, 53),
            ("reply", "10.9.0.2", "10.9.0.7", 53, 1024),
        )
    )
    return f'<flow{kind}>{ways}<meta direction="independent"><id>1</id>{about}</meta>{end}</flow>'


def read(*lines: str) -> list[ConntrackEntry]:
    entries, warnings = read_conntrack("\n".join(lines).encode())
    assert warnings == []
    return entries


def times(entry: ConntrackEntry) -> tuple[int | None, int | None, int | None, bool]:
    return entry.time_ns, entry.start_ns, entry.stop_ns, entry.is_local


def whole(stamp_ns: int) -> int:
    return stamp_ns // SECOND_NS * SECOND_NS


def test_text_is_local_time() -> None:
    (entry,) = read(DUMPED)
    assert times(entry) == (None, whole(START_NS), None, True)
    assert (entry.ct_id, entry.mark) == (4187253797, 0)
    (plain,) = read(DUMPED.replace("[start=Thu Nov 26 14:55:54 2026] ", ""))
    assert replace(entry, start_ns=None, is_local=False) == plain
    (early,) = read(DUMPED.replace("Nov 26", "Nov  5"))
    assert early.start_ns == whole(START_NS) - 21 * 24 * HOURS_NS


def test_an_end_told_by_event_and_stamp_tells_the_zone_of_the_file() -> None:
    dumped, gone = read(DUMPED.replace("14:55", "20:25"), GONE)
    assert times(gone) == (1_795_704_984_867_139_000, whole(START_NS), whole(STOP_NS), False)
    assert times(dumped) == (None, whole(START_NS), None, False)


def test_two_zones_in_a_file_tell_nothing_of_its_other_lines() -> None:
    utc = GONE.replace("20:25", "14:55").replace("20:26", "14:56")
    entries = read(DUMPED, GONE, utc)
    assert [entry.is_local for entry in entries] == [True, False, False]
    assert times(entries[1]) == times(entries[2])


def test_an_end_reported_long_after_it_tells_no_zone() -> None:
    late = GONE.replace("1795704984", "1795705284")
    assert times(read(late)[0]) == (1_795_705_284_867_139_000, None, None, False)


def test_xml_is_in_utc_but_when() -> None:
    (entry,) = read(flow(about=STAMPS.replace(f"<stop>{STOP_NS}</stop>", "")))
    assert times(entry) == (None, START_NS, None, False)
    earlier = WHEN.replace("26</min>", "25</min>").replace("24</sec>", "54</sec>")
    new, gone = read(flow(' type="new"', end=earlier), flow(' type="destroy"', STAMPS, WHEN))
    assert times(gone) == (whole(STOP_NS), START_NS, STOP_NS, False)
    assert times(new) == (whole(START_NS), None, None, False)
    (alone,) = read(flow(' type="new"', end=WHEN))
    assert times(alone) == (whole(STOP_NS) + 11 * HOURS_NS // 2, None, None, True)


@pytest.mark.parametrize(
    "damaged",
    [
        DUMPED.replace("14:55", "99:55"),
        DUMPED.replace("Nov", "Nev"),
        DUMPED.replace("2026", "9999"),
        DUMPED.replace(" 2026] use=1 id=4187253797", ""),
        flow(about=STAMPS.replace(f"{STOP_NS}", "soon")),
        flow(about=STAMPS.replace(f"{STOP_NS}", "9" * 30)),
        flow(about=STAMPS.replace(f"{STOP_NS}", "9" * 5000)),
        flow(' type="new"', end=WHEN.replace("<month>11", "<month>13")),
        flow(' type="new"', end=WHEN.replace("<day>26</day>", "")),
    ],
)
def test_a_stamp_that_is_no_time_is_reported_and_the_entry_kept(damaged: str) -> None:
    entries, warnings = read_conntrack(f"{UDP}\n{damaged}\n".encode())
    assert [(w.kind, w.count, w.offset) for w in warnings] == [("stamp-unread", 1, len(UDP) + 1)]
    assert len(entries) == 2
    assert times(entries[1]) == (None, None, None, False)


def test_an_event_at_no_time_is_no_entry() -> None:
    entries, warnings = read_conntrack(GONE.replace("[1795704984", "[" + "9" * 30).encode())
    assert (entries, [w.kind for w in warnings]) == ([], ["unparsed-line"])
