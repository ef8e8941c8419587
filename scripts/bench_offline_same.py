"""Whether windows give the journeys that all packets at once give; `bench offline` runs it.

    bench_offline_same.py PACKETS [ROWS]   joins PACKETS whole, and in windows of ROWS

Compared are all numbers, references, outcomes, times, hops, evidence, causes and confidences; then,
with the clocks of two hosts seconds off, which packets make up a journey. Exit status 1 when
anything differs.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT))

from scenarios.bulk import DEVICES, bulk_batch  # noqa: E402

from tracer import jit_cache  # noqa: E402

jit_cache.prepare()

from tracer.core.batch import ObservationBatch  # noqa: E402
from tracer.core.journeys import NUMBERS_DTYPE, JourneySet  # noqa: E402
from tracer.correlate.clocks.look import look  # noqa: E402
from tracer.correlate.join import join  # noqa: E402
from tracer.correlate.windows.stream import WINDOW_ROWS, join_windows  # noqa: E402

PIECE = 1 << 16
LOOK_ROWS = 1 << 18
OFF_NS = {"gateway": 3_000_000_000, "server": -7_000_000_000}
JOURNEY = ("flow", "n_hops", "kind", "outcome", "ambiguous", "duplicates", "first_ns", "last_ns")
HOP = ("n", "parent", "candidates", "evidence", "cause", "direction", "delta_ns")


def captures(batch: ObservationBatch, rows: int = WINDOW_ROWS) -> list[Iterator[ObservationBatch]]:
    """Return the batch of `bulk_batch` as the captures it stands for, each in pieces, for windows
    of so many rows."""
    size, piece = len(batch) // len(DEVICES), min(PIECE, rows // len(DEVICES))

    def pieces(start: int) -> Iterator[ObservationBatch]:
        for first in range(start, start + size, piece):
            yield batch.between(first, min(first + piece, start + size))

    return [pieces(number * size) for number in range(len(DEVICES))]


def told(found: JourneySet) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return what is said of each journey and of each hop, a row of numbers each."""
    journeys, hops = found.journeys, found.hops
    at = np.arange(len(journeys))
    numbers = [found.shown(name, at) for name in NUMBERS_DTYPE.names or ()]
    packets = found.observations.packets
    where = [packets[name][hops["row"]] for name in ("capture", "frame")]
    sure = np.nan_to_num(hops["confidence"] * 1_000_000)
    of_journey = np.stack([*numbers, *(journeys[name] for name in JOURNEY)], axis=1)
    of_hop = np.stack(
        [numbers[0][hops["journey"]], *where, sure, *(hops[name] for name in HOP)], axis=1
    )
    return of_journey.astype(np.int64), of_hop.astype(np.int64)


def ordered(parts: list[NDArray[np.int64]], places: int) -> NDArray[np.int64]:
    """Return the rows of all parts by their first columns."""
    rows = np.concatenate(parts)
    return rows[np.lexsort([rows[:, place] for place in reversed(range(places))])]


def partition(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return (capture, frame, first row of its journey) of all hops by capture and frame."""
    rows = ordered([part[:, [1, 2, 0]] for part in parts], 2)
    _, first, journey = np.unique(rows[:, 2], return_index=True, return_inverse=True)
    rows[:, 2] = first[journey]
    return rows


def with_clocks_off(batch: ObservationBatch, rows: int) -> bool:
    """Compare where hosts' clocks are seconds off, print what was found, and return it."""
    hosts = np.array([OFF_NS.get(point.host or "", 0) for point in batch.points])
    batch.packets["time_ns"] += hosts[batch.packets["point"]]
    whole = partition([told(join(batch))[1]])
    clocks, _ = look(captures(batch), LOOK_ROWS)
    parts = [told(part)[1] for part in join_windows(captures(batch), rows=rows, clocks=clocks)]
    same = np.array_equal(whole, partition(parts))
    word = "the same" if same else "NOT the same"
    off = " and ".join(f"{ns // 1_000_000_000:+d} s" for ns in OFF_NS.values())
    print(f"{len(batch)} packets, clocks {off} off: {word} packets in each journey")
    return same


def main() -> int:
    """Compare, print what was found, and return the exit status."""
    packets, rows = int(sys.argv[1]), int((sys.argv[2:] or [WINDOW_ROWS])[0])
    batch, _ = bulk_batch(packets)
    whole = [
        ordered([part], places) for part, places in zip(told(join(batch)), (1, 3), strict=True)
    ]
    parts = [told(part) for part in join_windows(captures(batch, rows), rows=rows)]
    windowed = [
        ordered([part[side] for part in parts], places) for side, places in ((0, 1), (1, 3))
    ]
    same = all(np.array_equal(a, b) for a, b in zip(whole, windowed, strict=True))
    word = "give the same" if same else "do NOT give the same"
    print(f"{packets} packets: {len(parts)} windows {word} {len(whole[0])} journeys as all at once")
    del whole, windowed, parts
    return 0 if with_clocks_off(batch, rows) and same else 1


if __name__ == "__main__":
    sys.exit(main())
