"""The table of a path: columns that stand under each other, in the width there is."""

import pytest
from made import floating_ip

from tracer.core.point import Direction, Point
from tracer.report.live.path_lines import path_table, path_title
from tracer.report.live.paths import Figures, Path, PathRow, paths_of
from tracer.report.live.ways import Ways

SECOND = 1_000_000_000


def floating_ip_path() -> Path:
    ways = Ways()
    ways.tick(SECOND)
    for _ in range(1200):
        ways.add(floating_ip())
    ways.tick(3 * SECOND)
    return paths_of(ways.ways)[0]


@pytest.fixture(scope="module")
def path() -> Path:
    return floating_ip_path()


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_columns_stand_under_each_other(path: Path, width: int) -> None:
    table = path_table(path, width)
    head = table.heads[0].plain
    assert len(table.rows) == 6
    assert max(line.cell_len for line in (*table.heads, *table.rows)) <= width
    ends = [head.index("p50") + 3, head.rindex("p50") + 3]
    for row in table.rows[1:-1]:
        text = row.plain
        assert all(text[end - 1] == "s" for end in ends), text
        assert text[head.index("pkt/s") + 2 : head.index("pkt/s") + 5] == "600"


def test_a_narrow_row_names_namespace_device_and_side(path: Path) -> None:
    rows = [row.plain for row in path_table(path, 80).rows]
    assert rows[1].startswith("qrouter   →qr-1f6b0aa3-3d ")
    assert rows[2].startswith("qrouter    rfp-b6a86b9f-6→ ")


def test_losses_and_the_slowest_step_stand_out(path: Path) -> None:
    row = path.rows[2]
    assert row.out is not None
    lossy = Figures(1200, 600.0, 12, 0, row.out.p50_ns, row.out.p99_ns)
    rows = (*path.rows[:2], PathRow(row.point, lossy, row.back), *path.rows[3:])
    table = path_table(Path(rows, 2400, 1200.0, 12, 3), 80)
    styles = dict(part for part in table.rows[2].parts if part[0].strip())
    assert styles["1.00%"] == "bold red"
    assert styles["31.4µs"] == "bold yellow"
    title = path_title(Path(rows, 2400, 1200.0, 12, 3), 1, 2)
    assert title == (
        "path 1 of 2: ens3 → enp175s0f1, 1.2k packets/s, 12 of 2,400 lost, all at rfp-b6a86b9f-6, "
        "3 lost by tracer"
    )


def test_a_path_that_goes_one_way_has_no_columns_for_the_other() -> None:
    figures = Figures(5, 1.0, 0, 0, None, None)
    rows = tuple(PathRow(Point("h", "n", f"d{n}", Direction(1)), figures, None) for n in range(3))
    table = path_table(Path(rows, 5, 1.0, 0, 0), 80)
    assert table.heads[0].plain.count("p99") == 1
    assert "←" not in table.heads[0].plain


@pytest.mark.parametrize("name", ["a", "a-device-name-of-many-letters"])
def test_any_name_fits(name: str) -> None:
    figures = Figures(10**12, 1e9, 10**11, 0, 10**12, 10**12)
    row = PathRow(Point("h" * 40, "n" * 60, name, Direction(1)), figures, figures)
    other = PathRow(Point("i", None, "x", Direction(0)), figures, figures)
    table = path_table(Path((row, other), 10**12, 1e9, 0, 0), 80)
    assert all(line.cell_len <= 80 for line in table.rows)
