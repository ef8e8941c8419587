"""Paths put together from ways."""

from tracer.core.point import Direction, Point
from tracer.report.live.paths import Path, paths_of
from tracer.report.live.ways import Way

IN, OUT = Direction.INGRESS, Direction.EGRESS
CLIENT, R0, R1, SERVER = (
    Point("h", "client", "c0", OUT),
    Point("h", "router", "r0", IN),
    Point("h", "router", "r1", OUT),
    Point("h", "server", "s0", IN),
)
SNAT = Point("h", "router", None, hook="postrouting")
UN_SNAT = Point("h", "router", None, hook="prerouting")


def way(*points: Point, packets: int = 1, backward: bool = False, lost: int = 0) -> Way:
    made = Way(points, backward)
    made.packets = packets
    made.lost[-1] = lost
    return made


def devices(path: Path) -> list[str]:
    return [row.point.name for row in path.rows]


def test_out_and_back_are_one_path_with_the_hooks_of_both() -> None:
    (path,) = paths_of(
        [
            way(CLIENT, R0, SNAT, R1, SERVER, packets=10),
            way(SERVER, R1, UN_SNAT, R0, CLIENT, packets=9, backward=True),
        ]
    )
    assert devices(path) == ["c0", "r0", "prerouting", "postrouting", "r1", "s0"]
    assert [row.out.packets if row.out else 0 for row in path.rows] == [10, 10, 0, 10, 10, 10]
    assert [row.back.packets if row.back else 0 for row in path.rows] == [9, 9, 9, 0, 9, 9]
    assert (path.packets, path.has_back) == (19, True)


def test_what_got_lost_half_way_belongs_to_the_path_it_was_on() -> None:
    (path,) = paths_of(
        [way(CLIENT, R0, packets=3, lost=2), way(CLIENT, R0, SNAT, R1, SERVER, packets=7)]
    )
    assert devices(path) == ["c0", "r0", "postrouting", "r1", "s0"]
    seen = [row.out for row in path.rows if row.out]
    assert [figures.packets for figures in seen] == [10, 10, 7, 7, 7]
    assert [figures.lost for figures in seen] == [0, 2, 0, 0, 0]
    assert seen[1].loss == 0.2
    assert path.lost == 2


def test_ways_over_other_devices_are_other_paths_the_busiest_first() -> None:
    other = [Point("h", f"other{n}", "eth0", IN) for n in range(3)]
    found = paths_of([way(CLIENT, R0, R1, SERVER, packets=2), way(*other, packets=5)])
    assert [path.packets for path in found] == [5, 2]


def test_a_way_over_hooks_alone_is_a_path() -> None:
    (path,) = paths_of([way(SNAT)])
    assert devices(path) == ["postrouting"]


def test_no_ways_are_no_paths() -> None:
    assert paths_of([]) == []
