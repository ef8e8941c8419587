"""Saving what the view shows: each format read back."""

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from made import floating_ip, web

from tracer.cli.view.condition import parse
from tracer.cli.view.kept import Exchange, Kept
from tracer.cli.view.saving import save
from tracer.core.errors import InputError


@pytest.fixture
def exchanges() -> list[Exchange]:
    kept = Kept()
    kept.choose(parse("!vanished"))
    kept.add(web())
    kept.add(floating_ip())
    return kept.matching


def test_lines_of_json_are_the_journeys(exchanges: list[Exchange], tmp_path: Path) -> None:
    assert save(exchanges, str(tmp_path / "a.jsonl")) == 3
    found = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [journey["outcome"] for journey in found] == [
        "delivered", "unfinished", "dropped", "delivered", "delivered", "delivered",
    ]  # fmt: skip


def test_text_is_the_tree(exchanges: list[Exchange], tmp_path: Path) -> None:
    save(exchanges, str(tmp_path / "a.txt"))
    text = (tmp_path / "a.txt").read_text()
    assert "ICMP echo request 192.168.3.69 → 100.121.0.75" in text
    assert "dropped at compute03/enp175s0f1: NETFILTER_DROP" in text
    assert "vanished" not in text


def test_tables_have_a_row_a_hop(exchanges: list[Exchange], tmp_path: Path) -> None:
    for name in ("a.csv", "a.parquet"):
        save(exchanges, str(tmp_path / name))
    hops = sum(int(item.part.journeys["n_hops"][item.members].sum()) for item in exchanges)
    assert pq.read_table(tmp_path / "a.parquet").num_rows == hops
    with (tmp_path / "a.csv").open() as file:
        assert len(list(csv.DictReader(file))) == hops


@pytest.mark.parametrize("name", ["a.pdf", "a", "there.txt", "no/such/folder/a.txt"])
def test_what_cannot_be_written_says_why(
    exchanges: list[Exchange], tmp_path: Path, name: str
) -> None:
    (tmp_path / "there.txt").write_text("mine")
    with pytest.raises(InputError):
        save(exchanges, str(tmp_path / name))
    assert (tmp_path / "there.txt").read_text() == "mine"
