"""How a journey ended: delivered, dropped, vanished, or cut by the edge of what was captured."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.enums import Kind, Outcome
from tracer.correlate.flows.questions import want_answers
from tracer.correlate.hashing import Codes, factorise, pair_keys
from tracer.correlate.order.ways import ANSWERED, Ways, most_seen
from tracer.correlate.outcomes.ends import address_at, apart_over_loopback, ends_of
from tracer.correlate.outcomes.onward import Onward, onward_of
from tracer.correlate.outcomes.paths import Paths, hops_of
from tracer.correlate.packets.identity import Identity

INTERRUPTED = 3  # packets that go past a silent capture: one may have been missed by chance


def _capture_state(
    identity: Identity, onward: Onward, missing: Codes, time: Codes, at_ns: Codes, took_ns: Codes
) -> NDArray[np.int8]:
    """Whether the place where each missing journey was expected was captured at a time.

    Not so where it was over by when the packet came there, if it took as long as `took_ns`.

    0: its capture had not begun or was over; 1: it was interrupted, for it showed nothing while
    several packets passed it; 2: it was running.
    """
    state = np.full(len(missing), 2, np.int8)
    places = onward.expected[missing]
    for place in np.unique(places):
        mine = np.flatnonzero(places == place)
        seen = np.sort(time[identity.place == place], kind="stable")  # they are, but for a few
        after = np.searchsorted(seen, at_ns[mine])
        edge = (at_ns[mine] <= onward.since_ns[place]) | (after == len(seen))
        if len(seen):  # none where this window has packets only that came late to former ones
            edge |= at_ns[mine] + took_ns[mine] > seen[-1]
        state[mine[edge]] = 0
        edge |= after == 0  # what it showed before is in no window any more
        mine, after = mine[~edge], after[~edge]
        passed = np.sort(onward.passed_ns[onward.passed_place == place])
        first = np.searchsorted(passed, seen[after - 1], "right")
        last = np.searchsorted(passed, seen[after])
        state[mine[last - first >= INTERRUPTED]] = 1
    return state


def _not_beyond(
    identity: Identity, paths: Paths, onward: Onward, which: Codes, time: Codes, took_ns: Codes
) -> Codes:
    # Those journeys that the place beyond the expected one, where no capture ran, did not show
    # either, though it was being captured. Where one was interrupted others may be, too, for the
    # host was busy: that is left open.
    going = onward.beyond[which] >= 0
    which, took_ns = which[going], took_ns[going]  # at least as long as to where no capture ran
    there = replace(onward, expected=onward.beyond)
    state = _capture_state(identity, there, which, time, time[paths.last[which]], took_ns)
    found: Codes = which[state == 2]
    return found


def _expect_at_home(
    packets: Any, identity: Identity, paths: Paths, ending: NDArray[np.bool_], astray: Codes,
    expected: Codes,
) -> None:  # fmt: skip
    # Where nobody ever goes on, and nobody is answered from, a packet is expected where others for
    # its destination ended, as a router may lose all that takes one of several ways; in place. But
    # not one that a hub showed there, and elsewhere after it.
    home = np.flatnonzero(ending)
    ends = np.concatenate([astray, home])
    if not len(astray) or not len(home):
        return
    rows = paths.last[ends]
    goals = address_at(np.full(len(rows), 7, np.uint64), packets, identity, rows, "dst")
    code, first = factorise(apart_over_loopback(identity, rows, goals))
    of_astray, of_home = code[: len(astray)], code[len(astray) :]
    pairs, where = factorise(pair_keys(of_home, identity.place[paths.last[home]]))
    votes = np.bincount(pairs, minlength=len(where))
    places = identity.place[paths.last[home[where]]]
    found = most_seen(of_home[where], places, votes, len(first))[of_astray]
    owner, at = hops_of(paths, astray)
    found[owner[identity.place[paths.hops[at]] == found[owner]]] = -1
    expected[astray] = found


def silenced(
    identity: Identity, paths: Paths, onward: Onward, beyond: Codes, vanished: Codes, time: Codes
) -> Codes:
    """Return which vanished journeys the next capture missed while it was interrupted.

    `beyond`: journeys that are known to have gone past it, though it does not show them; they tell
    that it was, where nobody watched beyond it.
    """
    ends = time[paths.last]
    known = replace(
        onward,
        passed_place=np.concatenate([onward.passed_place, onward.expected[beyond]]),
        passed_ns=np.concatenate([onward.passed_ns, ends[beyond]]),
    )
    state = _capture_state(identity, known, vanished, time, ends[vanished], 0 * vanished)
    found: Codes = vanished[state == 1]
    return found


def _reset_on_the_way(identity: Identity, paths: Paths, onward: Onward, time: Codes) -> Codes:
    # A rule that refuses TCP answers in the name of the host (REJECT with a reset): the answer
    # begins where the packet was last seen, and the captures beyond show neither.
    which = onward.answered[paths.kind[paths.reply[onward.answered]] == Kind.TCP_RST]
    begins, ends = paths.first[paths.reply[which]], paths.last[which]
    which = which[identity.place[begins] == identity.place[ends]]
    state = _capture_state(identity, onward, which, time, time[paths.last[which]], 0 * which)
    found: Codes = which[state == 2]
    return found


def outcomes(
    packets: Any, identity: Identity, link: Codes, paths: Paths, time: Codes, ways: Ways
) -> tuple[NDArray[np.int8], Onward, Codes]:
    """Return `core.enums.Outcome` of each journey; `link` and `time` by row.

    Also where packets go on to, and the journeys that end where the next capture had not begun or
    was over.

    Delivered: answered, or last seen where its destination's packets begin, or where no packet was
    ever seen to go on. Vanished: others went on from there, and the next place was being captured;
    or, before that began or after its end, the one beyond it where others of its flow were seen.
    Unfinished: nobody went on from there, and others were answered from beyond what was captured;
    or packets alike begin further on, one of which it may be.
    Answered elsewhere: an ICMP error quotes it, or a reset came from where others went on.
    """
    first, last = paths.first, paths.last
    several = np.diff(paths.starts) > 1
    answered = paths.reply >= 0
    onward = onward_of(packets, identity, link, paths, time, ways)
    following = onward.expected
    silent = want_answers(packets, paths.kind, first) & ~answered
    outcome = np.full(len(first), Outcome.UNFINISHED, np.int8)
    alone = several & (following < 0) & ~paths.alike
    outcome[alone & ~silent] = Outcome.DELIVERED
    elsewhere = np.diff(paths.starts) < len(ways.known.places)
    in_place = ways.count(ANSWERED, link[last[answered]], np.flatnonzero(answered))
    elsewhere &= in_place[link[last]] == 0
    outcome[alone & silent & elsewhere] = Outcome.VANISHED
    # A router's device, by which it is to go out, too: it is not there that it was to end.
    again = (following >= 0) & (following == identity.place[last])
    ends = ends_of(packets, identity, link, paths, time, ways, onward.before)
    ending = ends.reached & ~again
    has_ip = packets["ip_version"][last] > 0  # ARP has no destination that others could share
    astray = several & (following < 0) & elsewhere & ~ending & ~answered & has_ip
    _expect_at_home(packets, identity, paths, ending & has_ip, np.flatnonzero(astray), following)
    onward.answered = np.flatnonzero((following >= 0) & ~ending & answered)
    missing = np.flatnonzero((following >= 0) & ~ending & ~answered & ~paths.alike)
    outcome[missing] = Outcome.VANISHED
    onward.add_passed(paths, *ends.passed_unseen(identity, paths, following[missing], time), time)
    at_ns, took_ns = time[last[missing]] + again[missing], onward.took_ns(link[last[missing]])
    state = _capture_state(identity, onward, missing, time, at_ns, took_ns)
    over = state == 0
    shown = _not_beyond(identity, paths, onward, missing[over], time, took_ns[over])
    onward.expected[shown] = onward.beyond[shown]
    state[np.isin(missing, shown)] = 2
    outcome[missing[state == 0]] = Outcome.UNFINISHED
    outcome[missing[state == 1]] = Outcome.LOST_BY_TRACER
    outcome[(several | answered) & (ending | answered)] = Outcome.DELIVERED
    outcome[paths.quoted & ~answered] = Outcome.ANSWERED_ELSEWHERE
    outcome[paths.quoted & ending] = Outcome.DELIVERED
    outcome[_reset_on_the_way(identity, paths, onward, time)] = Outcome.ANSWERED_ELSEWHERE
    edge = missing[state == 0]
    return outcome, onward, edge[outcome[edge] == Outcome.UNFINISHED]
