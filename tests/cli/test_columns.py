"""The columns of tables are a contract: none moves or goes, new ones come at the end."""

import csv
from pathlib import Path

import pyarrow.parquet
import pytest

from cli.conftest import Run

GOLDEN = Path(__file__).resolve().parent.parent / "golden"


@pytest.mark.parametrize(
    ("command", "golden"),
    [("offline", "columns-hops.txt"), ("observations", "columns-observations.txt")],
)
def test_columns_are_where_they_were(
    command: str, golden: str, captures: Path, tmp_path: Path, run: Run
) -> None:
    expected = (GOLDEN / golden).read_text().split()
    for suffix in ("csv", "parquet"):
        file = tmp_path / f"rows.{suffix}"
        assert run(command, captures / "walkthrough", "-o", file).exit_code == 0
        if suffix == "csv":
            columns = next(csv.reader(file.read_text().splitlines()))
        else:
            columns = pyarrow.parquet.read_schema(file).names
        assert columns[: len(expected)] == expected
