"""Warnings about input: counted, not repeated."""

from tracer.core.warnings import InputWarning, merge


def test_equal_kinds_of_one_capture_become_one() -> None:
    cut = InputWarning("truncated-record", "the file ends inside a record", "a.pcap", 100)
    again = InputWarning("truncated-record", "the file ends inside a record", "a.pcap", 900, 2)
    other = InputWarning("truncated-record", "the file ends inside a record", "b.pcap", 5)
    assert merge([cut, other, again]) == [
        InputWarning(cut.kind, cut.message, "a.pcap", 100, 3), other,
    ]  # fmt: skip


def test_as_dict_has_the_keys_of_the_summary() -> None:
    assert set(InputWarning("k", "m").as_dict()) == {
        "kind", "message", "capture", "offset", "count",
    }  # fmt: skip
