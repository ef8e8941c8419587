"""Arguments of the API that are not what is asked for: each is named, in one sentence."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracer
from tracer.core.errors import InputError


@pytest.fixture(scope="module")
def capture() -> str:
    return str(Path(__file__).parents[2] / "captures" / "fip-outbound" / "vm-ens3.pcap")


@pytest.mark.parametrize("limit", [-1, 2.5, "3", True, np.float64(2)])
def test_a_limit_is_a_whole_number_of_0_or_more(limit: Any, capture: str) -> None:
    said = re.escape(f"limit is {limit!r}. Give a whole number of 0 or more.")
    with pytest.raises(InputError, match=said):
        tracer.read(capture, limit=limit)


def test_numbers_of_numpy_are_numbers(capture: str) -> None:
    read = tracer.read(capture, limit=np.int64(5))
    assert len(read.observations) == 5
    assert read.journey(np.int16(1)).journey == 1
    assert len(read.path(np.uint8(1)))


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ((5,), {}),
        ((None,), {}),
        ((["x"],), {}),
        (("a\0b",), {}),
        (("",), {}),
        ((), {}),
        ((), {"points": ["x"]}),
        ((), {"points": "eth0=x"}),
        ((), {"points": {5: "x"}}),
        ((), {"points": {"eth0": 5}}),
        (("{capture}",), {"conntrack": 5}),
        (("{capture}",), {"conntrack": [None]}),
        (("{capture}",), {"rules": {"a": 1}.values()}),
        (("{capture}",), {"host": 5}),
        (("{capture}",), {"host": None}),
    ],
)
def test_what_names_no_capture_dump_or_address_is_refused(
    words: tuple[Any, ...], options: dict[str, Any], capture: str
) -> None:
    given = [capture if word == "{capture}" else word for word in words]
    with pytest.raises(InputError) as caught:
        tracer.read(*given, **options)
    assert caught.value.hint


def test_a_path_may_be_bytes(capture: str) -> None:
    paths: Any = os.fsencode(capture)
    assert len(tracer.read(paths)) == len(tracer.read(capture))


@pytest.mark.parametrize("width", [-5, 0, 39, 80.5, "80", None])
def test_a_width_is_a_whole_number_of_40_or_more(width: Any, capture: str) -> None:
    read = tracer.read(capture, limit=4)
    with pytest.raises(InputError, match="Give a whole number of 40 or more"):
        read.text(width)
    assert read.text(80) == read.text(width=80)


@pytest.mark.parametrize("number", ["x", 2.5])
def test_a_journey_or_flow_has_a_whole_number(number: Any, capture: str) -> None:
    read = tracer.read(capture, limit=4)
    for ask in (read.journey, read.path):
        with pytest.raises(InputError, match="Give a whole number"):
            ask(number)


def test_a_report_is_a_file_and_compares_what_was_read(capture: str, tmp_path: Path) -> None:
    read = tracer.read(capture, limit=4)
    nothing: Any = 5
    with pytest.raises(InputError, match="path is 5, which names no file"):
        read.report(nothing)
    with pytest.raises(InputError, match="before is 5"):
        read.report(tmp_path / "x.html", before=nothing)
    assert not (tmp_path / "x.html").exists()


@pytest.mark.parametrize(
    "options",
    [
        {"count": 0},
        {"count": "1"},
        {"duration": -1},
        {"duration": float("nan")},
        {"settle": -1},
        {"settle": "x"},
        {"ring_size": 0},
        {"ring_size": 1025},
        {"map_size": 15},
        {"snap": -1},
        {"snap": 1501},
        {"engine": "x"},
        {"command": "ping"},
        {"command": 5},
        {"command": [5]},
        {"write": 5},
    ],
)
def test_following_begins_only_with_what_can_be_followed(options: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        tracer.follow(**options)
    assert caught.value.hint
