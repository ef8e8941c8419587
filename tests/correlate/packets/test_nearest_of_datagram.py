"""Which fragment is of the datagram of another one, against looking at each pair."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tracer.core.schema import PACKET_DTYPE, null_record
from tracer.correlate.packets.fragments import nearest_of_datagram

PIECES = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 2), st.integers(0, 50), st.booleans()), max_size=30
)


@given(PIECES, st.booleans())
def test_it_is_the_nearest_in_time_of_the_same_datagram(
    pieces: list[tuple[int, int, int, bool]], placed: bool
) -> None:
    p = np.repeat(null_record(PACKET_DTYPE), len(pieces))
    p["ip_id"] = [ip_id for ip_id, *_ in pieces]
    time = np.array([at for _, _, at, _ in pieces], np.int64)
    place = np.array([where for _, where, _, _ in pieces], np.uint64)
    is_first = np.array([first for *_, first in pieces], np.bool_)
    later, firsts = np.flatnonzero(~is_first), np.flatnonzero(is_first)
    found = nearest_of_datagram(
        p, np.arange(len(p)), time, later, firsts, place if placed else None
    )
    for one, other in zip(later.tolist(), found.tolist(), strict=True):
        mine = [
            (abs(int(time[each] - time[one])), int(time[each]))
            for each in firsts.tolist()
            if pieces[each][0] == pieces[one][0] and (not placed or place[each] == place[one])
        ]
        assert (other >= 0) == bool(mine)
        if mine:
            assert other in firsts
            assert pieces[other][0] == pieces[one][0]
            assert not placed or place[other] == place[one]
            assert (abs(int(time[other] - time[one])), int(time[other])) == min(mine)
