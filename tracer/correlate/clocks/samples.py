"""Stamps of packets seen by two clocks: the samples from which clocks are compared."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.jit import inner, inner_plain, jit
from tracer.core.mixing import mixed
from tracer.correlate.clocks.bystanders import misleading
from tracer.correlate.clocks.level_ways import ways_of
from tracer.correlate.hashing import Codes, Keys, factorise, filled, grouped, pair_keys
from tracer.correlate.nat.doubt import NULL
from tracer.correlate.nat.tuples import related_parts
from tracer.correlate.packets.duplicates import COPY_NS, SOON_NS, is_numbered
from tracer.correlate.packets.groups import chosen
from tracer.correlate.packets.identity import Identity
from tracer.correlate.packets.places import point_columns

Times = NDArray[np.int64]
MOST_ROWS = 12  # of one packet are compared with each other; of more, two of each clock
MOST_POINTS = 400  # rows of one packet
NEXT = 3  # of these, further along the way, that each is compared with
MOST_SAMPLES = 400_000
ENOUGH = 40_000  # samples for each clock; more tell nothing more
MOST_JUMPS = 64
FEWEST = 5  # packets that went one way over one link, and how near each other their delays are
NEAR_NS = 50_000_000
LATE_NS = 2_000  # more than stamps of one clock are out of order by
JUMP_NS = 5_000_000  # a file whose stamps fall back this far had its clock stepped


@dataclass(slots=True)
class Samples:
    """Pairs of rows of one packet, `left` and `right`, whose scales differ.

    `sign` is 1 where the packet went from left to right, -1 the other way, 0 unknown.
    """

    left: Codes
    right: Codes
    sign: NDArray[np.int8]

    def where(self, which: NDArray[np.bool_]) -> "Samples":
        """Return some of them."""
        return Samples(self.left[which], self.right[which], self.sign[which])


@jit
def _pairs(
    p: Any, order: Codes, starts: Codes, place: Codes, scale: Codes, time: Times, packet: Keys,
    every: Any, most: int, of_one_tuple: bool,
) -> Any:  # fmt: skip
    left = np.empty(most, np.int64)
    right = np.empty(most, np.int64)
    sign = np.empty(most, np.int8)
    whole = np.zeros(len(starts) - 1, np.bool_)
    count = 0
    for group in range(len(starts) - 1):
        rows = order[starts[group] : starts[group + 1]]
        asked = len(rows) > 1 and packet[rows[0]] % every == 0
        whole[group] = not asked or _is_single(p, rows, place, scale, time)
        if of_one_tuple and not whole[group] and not is_numbered(p, rows[0]):
            rows = _shown_once(p, rows, place, scale, time)
            whole[group] = len(rows) > 1 and _is_single(p, rows, place, scale, time)
        if not asked or not whole[group]:
            continue
        far = MOST_ROWS
        if len(rows) > MOST_ROWS:
            rows, far = _ends_of_scales(p, rows, scale), NEXT
        for i in range(len(rows)):
            for j in range(i + 1, min(len(rows), i + far + 1)):
                a, b = rows[i], rows[j]
                if scale[a] == scale[b] or count == most:
                    continue
                if scale[a] > scale[b]:
                    a, b = b, a
                left[count], right[count] = a, b
                sign[count] = np.sign(np.int64(p[a].ttl) - np.int64(p[b].ttl))
                count += 1
    return left[:count].copy(), right[:count].copy(), sign[:count].copy(), whole


@inner
def _ends_of_scales(p: Any, rows: Codes, scale: Codes) -> Codes:
    # The first and the last row of each scale, by TTL; those kept are by falling TTL.
    kept = np.empty(len(rows), np.int64)
    count = 0
    for row in rows:
        first = last = True
        for other in rows:
            if scale[other] == scale[row] and other != row:
                same = p[other].ttl == p[row].ttl
                first = first and (p[other].ttl < p[row].ttl or (same and row < other))
                last = last and (p[other].ttl > p[row].ttl or (same and row > other))
        if first or last:
            i = count
            while i and p[kept[i - 1]].ttl < p[row].ttl:
                kept[i] = kept[i - 1]
                i -= 1
            kept[i] = row
            count += 1
    return kept[:count]


@inner
def _shown_once(p: Any, rows: Codes, place: Codes, scale: Codes, time: Times) -> Codes:
    # The rows of places that do not double it, none where it may be several equal packets: those
    # most places would show twice, or some further apart.
    kept = np.empty(len(rows), np.int64)
    count = 0
    for row in rows if len(rows) <= MOST_POINTS else rows[:0]:
        copies = 0
        for other in rows:
            if other == row or place[other] != place[row] or p[other].ttl != p[row].ttl:
                continue
            copies += 1
            if scale[other] != scale[row] or abs(time[other] - time[row]) > SOON_NS or copies > 1:
                return kept[:0]
        if not copies:
            kept[count] = row
            count += 1
    return kept[:count] if 3 * count >= len(rows) else kept[:0]


@inner_plain
def _is_single(p: Any, rows: Codes, place: Codes, scale: Codes, time: Times) -> bool:
    # No place shows it twice at one TTL, but for copies of a packet with a number of its own; or on
    # its way to one MAC at two TTLs: it was bridged and routed there, and neither came before. Nor
    # does a clock show it later where it had gone less far: another branch of a flooded packet.
    if len(rows) > MOST_POINTS:
        return False
    numbered = is_numbered(p, rows[0])
    for i in range(len(rows)):
        for j in range(i + 1, len(rows)):
            a, b = rows[i], rows[j]
            late = (time[a] - time[b]) * np.sign(np.int64(p[a].ttl) - np.int64(p[b].ttl))
            if scale[a] == scale[b] and late > LATE_NS:
                return False
            if place[a] != place[b]:
                continue
            if p[a].ttl != p[b].ttl:
                if p[a].dst_mac == p[b].dst_mac and p[a].dst_mac != NULL:
                    return False
                continue
            if not numbered or scale[a] != scale[b] or abs(time[a] - time[b]) > COPY_NS:
                return False
    return True


def _signed_by_way(samples: Samples, batch: ObservationBatch, place: Codes, time: Times) -> None:
    # Signs the samples whose TTL is equal, in place.
    level = np.flatnonzero(samples.sign == 0)
    signs = ways_of(batch, place, time, samples.left[level], samples.right[level])
    samples.sign[level] = np.sign(signs)


def with_level(
    samples: Samples, left: Codes, right: Codes, batch: ObservationBatch, place: Codes, time: Times
) -> Samples:
    """Return the samples with some more, of packets that no router passed on.

    Where nothing tells which way those went, the stamps' order is believed.
    """
    if not len(left):
        return samples
    both = (np.r_[samples.left, left], np.r_[samples.right, right])
    found = Samples(*both, np.r_[samples.sign, np.zeros(len(left), np.int8)])
    _signed_by_way(found, batch, place, time)
    added = np.arange(len(found.sign)) >= len(samples.sign)
    later = np.where(time[found.right] >= time[found.left], 1, -1)
    found.sign = np.where(added & (found.sign == 0), later, found.sign).astype(np.int8)
    return found


def sign_far(samples: Samples, root: Codes, scale: Codes, time: Times, far_ns: int) -> None:
    """Sign samples of clocks that nothing else compares, and whose stamps are far apart.

    That is what packets of one link leave that all went one way. `root`, of each row: equal where
    clocks are compared. Delays have a least one, and a few are long: the long ones tell the way.
    """
    left, right = samples.left, samples.right
    loose = np.flatnonzero((samples.sign == 0) & (root[left] != root[right]))
    if not len(loose):
        return
    pair, where = factorise(pair_keys(scale[left[loose]], scale[right[loose]]))
    order = loose[np.argsort(pair, kind="stable")]
    for mine in np.split(order, np.cumsum(np.bincount(pair, minlength=len(where)))[:-1]):
        apart = time[right[mine]] - time[left[mine]]
        low, first, middle, third, high = np.quantile(apart, (0.05, 0.25, 0.5, 0.75, 0.95))
        if len(mine) < FEWEST or abs(middle) <= far_ns or third - first > NEAR_NS:
            continue
        samples.sign[mine] = 1 if high - middle >= middle - low else -1


def samples_of(
    batch: ObservationBatch, identity: Identity, groups: tuple[Codes, Codes], scale: Codes,
    time: Times, far_ns: int,
) -> Samples:  # fmt: skip
    """Return the pairs of stamps that packets beyond doubt give for two scales.

    Of equal packets those that NAT can make of each other are looked at apart, then those of one
    tuple: most links translate nothing. If they alone compare two scales, one way only, and stamps
    are not `far_ns` apart, they leave it at what stamps say.
    """
    packets = batch.packets
    place, packet = identity.spot, identity.packet
    most = min(MOST_SAMPLES, ENOUGH * (int(scale.max()) + 1))
    pairs = []
    parts = groups
    for finer in (_related, _of_one_tuple, None):
        limits = _thinned(parts[1], most)
        some_of = (*parts, place, scale, time, packet, *limits)
        *some, whole = _pairs(packets, *some_of, finer is None)
        pairs.append(some)
        if whole.all() or finer is None:
            break
        parts = finer(packets, identity.flow, *chosen(*parts, ~whole))
    found = Samples(*(np.concatenate(column) for column in zip(*pairs, strict=True)))
    _signed_by_way(found, batch, identity.place, time)
    found.sign[misleading(packets, identity.place, time, found.left, found.right)] = 0
    beyond = sum(len(some[0]) for some in pairs[:2])
    return found.where(_tell_more(found, scale, time, beyond, far_ns)) if len(pairs) > 2 else found


def _tell_more(
    samples: Samples, scale: Codes, time: Times, beyond: int, far_ns: int
) -> NDArray[np.bool_]:
    # Which samples are of scales that others compare, those before `beyond`; or that are compared
    # both ways, or contradict the stamps.
    pair, where = factorise(pair_keys(scale[samples.left], scale[samples.right]))
    delay = (time[samples.right] - time[samples.left]) * samples.sign
    told = (np.arange(len(pair)) < beyond) | (delay < -LATE_NS) | (np.abs(delay) > far_ns)
    ways = [np.bincount(pair[samples.sign == sign], minlength=len(where)) > 0 for sign in (1, -1)]
    tells: NDArray[np.bool_] = np.bincount(pair[told], minlength=len(where)) > 0
    tells |= ways[0] & ways[1]
    return tells[pair]


def _related(packets: Any, flow: Keys, order: Codes, starts: Codes) -> tuple[Codes, Codes]:
    return related_parts(packets, flow, order, starts, False)


def _of_one_tuple(packets: Any, flow: Keys, order: Codes, starts: Codes) -> tuple[Codes, Codes]:
    group = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    codes, where = factorise(mixed(flow[order], group))
    rows, begins = grouped(codes, len(where))
    return order[rows], begins


def _thinned(starts: Codes, most: int) -> tuple[np.uint64, int]:
    # Of how many packets one is taken, by its hash, so that they are of all the time and give about
    # `most` samples; and how many samples those give at most.
    rows = np.diff(starts)
    pairs = int(np.where(rows > MOST_ROWS, NEXT * rows, rows * (rows - 1) // 2).sum())
    return np.uint64(1 + pairs // most), min(pairs, 2 * most)


def scales_of(batch: ObservationBatch, identity: Identity) -> Codes:
    """Return a number for each row: rows with one are of one clock that was not set back.

    Rows whose host is not known get a scale for each capture. A file in which stamps of a point
    fall back by more than JUMP_NS was stamped by a clock that was set back there: what follows is a
    new scale. So it is in files of that clock that show nothing of it, as they were silent then;
    what stamps leave open there is of a scale of its own.
    """
    told = np.zeros(len(batch.points) + 1, np.bool_)
    codes = point_columns(batch)["point"][:-1]
    told[codes] = [bool(point.clock or point.host) for point in batch.points]
    clocks = int(identity.clock.max(initial=0)) + 1
    of_rows = (identity.stamp, identity.capture, identity.point, identity.clock)
    source, falls = _sources(*of_rows, told, clocks, len(batch.captures) + 1)
    if falls:
        file = identity.capture.astype(np.int64) + 1
        keys = (pair_keys(each, file) for each in (source, identity.point))
        (series, clock_starts), (line, starts) = (factorise(each) for each in keys)
        counts = len(clock_starts), len(starts)
        steps, jumps = _steps(identity.stamp, series, line, *counts)
        if 0 < jumps <= MOST_JUMPS:
            source = source * (MOST_JUMPS + 1) + steps
            _set_back_alike(source, *of_rows[:2], clocks)
    # Source numbers are small, so ranking those that occur needs no sort.
    there = np.bincount(source) > 0
    return source if there.all() else (np.cumsum(there) - 1)[source]


@jit
def _sources(
    stamp: Times, capture: Any, point: Codes, clock: Codes, told: NDArray[np.bool_], clocks: int,
    captures: int,
) -> tuple[Codes, bool]:  # fmt: skip
    # Each row's clock, or its file where its point does not tell; and whether stamps of a file
    # fall back anywhere. A file's packets are in its own order, those of several may be mixed; what
    # no file holds (-1) counts as one.
    source = np.empty(len(stamp), np.int64)
    last = filled(captures, np.iinfo(np.int64).min + JUMP_NS)
    falls = False
    for i in range(len(stamp)):
        file, time = capture[i] if capture[i] >= 0 else captures - 1, stamp[i]
        falls |= time < last[file] - JUMP_NS
        last[file] = time
        source[i] = clock[i] if told[point[i]] else clocks + file
    return source, falls


@jit
def _steps(
    stamp: Times, series: Codes, line: Codes, all_series: int, lines: int
) -> tuple[Codes, int]:
    # How often each row's clock was set back in its file until then (`series`), and how often any
    # was. It was where stamps of one point fall back (`line`); between points they do where files
    # were appended, or what several sockets captured was written as it came.
    steps = np.empty(len(stamp), np.int64)
    last = filled(lines, np.iinfo(np.int64).min + JUMP_NS)
    known, times = filled(lines, 0), filled(all_series, 0)
    jumps = 0
    for i in range(len(stamp)):
        one, each, time = line[i], series[i], stamp[i]
        if time < last[one] - JUMP_NS and known[one] == times[each]:
            jumps += 1
            times[each] += 1
        last[one], known[one] = time, times[each]
        steps[i] = times[each]
    return steps, jumps


def _set_back_alike(source: Codes, stamp: Times, capture: Any, clocks: int) -> None:
    # In files of a clock that others show to be set back once, in place: earlier stamps than any
    # after that are from before, later ones than any before it from after it, others of neither.
    scales = MOST_JUMPS + 1
    clock, step = np.divmod(source, scales)
    for each in np.unique(clock[(step > 0) & (clock < clocks)]):
        rows = np.flatnonzero(clock == each)
        file, steps, at = capture[rows], step[rows], stamp[rows]
        shows = np.isin(file, file[steps > 0])
        if shows.all() or steps.max() > 1:
            continue
        last, first = at[shows & (steps == 0)].max(), at[shows & (steps == 1)].min()
        later = np.where(at < first, 0, np.where(at > last, 2, 1))
        source[rows] = each * scales + np.where(shows, 2 * steps, later)
