"""The walk-through's text files and their table of packets say the same, oddities included."""

import csv
import re
from pathlib import Path

import pytest

FIELD = {
    "time": r"(\d\d:\d\d:\d\d\.\d{6}) ",
    "src_mac": r" ([\da-f:]{17}) > ",
    "dst_mac": r" > ([\da-f:]{17}), ",
    "vlan": r": vlan (\d+), ",
    "ttl": r" ttl (\d+), ",
    "ip_id": r" id (\d+), offset",
    "flags": r" flags \[(\w+)\]",
    "ip_len": r", length (\d+)\)$",
    "src": r"^    ([\d.]+) > ",
    "dst": r" > ([\d.]+): ICMP",
    "icmp_type": r"ICMP (echo \w+),",
    "icmp_id": r", id (\d+), seq",
    "icmp_seq": r" seq (\d+),",
    "icmp_len": r" length (\d+) *$",
}
LINK = ("time", "src_mac", "dst_mac", "vlan", "ttl", "ip_id", "flags", "ip_len")


@pytest.fixture(scope="module")
def folder(captures: Path) -> Path:
    return captures / "walkthrough"


def packets(path: Path) -> list[dict[str, str]]:
    """The packets of one file, found line by line with one pattern a field."""
    lines = [line for line in path.read_text().splitlines() if re.search(r"\(tos |ICMP echo", line)]
    return [packet(*pair) for pair in zip(lines[::2], lines[1::2], strict=True)]


def packet(link: str, rest: str) -> dict[str, str]:
    texts = {name: link if name in LINK else rest for name in FIELD}
    found = {name: re.search(FIELD[name], text) for name, text in texts.items()}
    return {name: match[1].replace(" ", "-") if match else "" for name, match in found.items()}


def test_table_has_every_packet(folder: Path) -> None:
    rows = list(csv.DictReader((folder / "truth.csv").read_text().splitlines()))
    files = list(dict.fromkeys(row["file"] for row in rows))
    assert sorted(files) == sorted(path.name for path in folder.glob("*.txt"))
    table = [{name: row[name] for name in FIELD} for row in rows]
    assert [one for name in files for one in packets(folder / name)] == table
    assert len(table) == 54


def test_oddities_are_kept(folder: Path) -> None:
    text = {path.stem: path.read_text() for path in folder.glob("*.txt")}
    assert len(text) == 12
    assert sum(bool(re.search(r"^\^C\d", one, re.M)) for one in text.values()) == 5
    assert sum(bool(re.search(r"^\^C( +#.*)?$", one, re.M)) for one in text.values()) == 3
    assert sum("    b: ICMP echo request" in one for one in text.values()) == 1
    assert sum(bool(re.search(r"^(\^C)?[\d:.]+ IP \(tos", one, re.M)) for one in text.values()) == 4
    assert all(one.startswith("root@") and "listening on" in one for one in text.values())
