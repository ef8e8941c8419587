"""Reasons that the place says at which the kernel freed a packet."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tracer.sources.live.event_layout import EVENT_DTYPE, Hook
from tracer.sources.live.unsaid_reasons import function_ranges, with_reasons

NUMBERS = {
    "SKB_NOT_DROPPED_YET": 0,
    "NOT_SPECIFIED": 2,
    "NEIGH_FAILED": 45,
    "NETFILTER_DROP": 8,
    "PKT_TOO_BIG": 71,
}
HERE = ((0x100, 0x140), (0x300, 0x310))
NAMES = ("neigh_invalidate", "ndisc_error_report")
WITH_ANOTHER = ("skb_release_data", "kfree_skb_list_reason", "kfree_skb_list")
RANGES = {NAMES: HERE, ("ip6_fragment",): ((0x500, 0x580),), WITH_ANOTHER: ((0x700, 0x780),)}


def freed(hook: Hook, reason: int, location: int) -> Any:
    event = np.zeros(1, EVENT_DTYPE)
    event["hook"], event["drop_reason"], event["location"] = hook, reason, location
    event["time_ns"], event["inner_src_hi"] = 5, 7  # fields that others lie over
    return event


@pytest.mark.parametrize(
    ("hook", "reason", "location", "told"),
    [
        (Hook.KFREE, 2, 0x120, 45),
        (Hook.KFREE, 2, 0x30F, 45),
        (Hook.KFREE, 2, 0x140, 2),  # the next function's
        (Hook.KFREE, 2, 0x540, 71),
        (Hook.KFREE, 2, 0x600, 2),
        (Hook.KFREE, 2, 0x720, 0),
        (Hook.KFREE, 8, 0x720, 8),
        (Hook.KFREE, 8, 0x120, 8),  # the kernel said it
        (Hook.CONSUME, 2, 0x120, 2),
    ],
)
def test_what_a_function_frees_for_one_reason_only_has_that_reason(
    hook: Hook, reason: int, location: int, told: int
) -> None:
    events = freed(hook, reason, location)
    before = events.tobytes()
    found = with_reasons(events, RANGES.__getitem__, NUMBERS.get)
    assert events.tobytes() == before
    assert found["drop_reason"].tolist() == [told]
    names = [name for name in EVENT_DTYPE.names or () if name != "drop_reason"]
    for name in names:  # of bytes between fields a copy has what lay there
        assert found[name].tobytes() == events[name].tobytes()


def test_a_kernel_that_has_no_such_reason_says_none() -> None:
    events = freed(Hook.KFREE, 2, 0x120)
    assert with_reasons(events, RANGES.__getitem__, {"NOT_SPECIFIED": 2}.get) is events


def test_functions_end_where_others_begin(tmp_path: Path) -> None:
    symbols = tmp_path / "kallsyms"
    symbols.write_text(
        "0000000000000010 A fixed\n"
        "00000000000000f0 t __pfx_neigh_invalidate\n"
        "0000000000000100 t neigh_invalidate\n"
        "0000000000000100 t its_other_name\n"
        "0000000000000140 T neigh_invalidate_all\n"
        "0000000000000300 t ndisc_error_report.isra.0\n"
        "0000000000000310 t ndisc_error_report.cold\n"
        "0000000000000320 t last\n"
        "0000000000000900 t ndisc_error_report\t[ipv6]\n"
    )
    assert function_ranges(NAMES, symbols) == HERE


def test_addresses_that_are_hidden_are_none(tmp_path: Path) -> None:
    symbols = tmp_path / "kallsyms"
    symbols.write_text("0000000000000000 t neigh_invalidate\n0000000000000000 t last\n")
    assert function_ranges(NAMES, symbols) == ()
    assert function_ranges(NAMES, tmp_path / "none") == ()
