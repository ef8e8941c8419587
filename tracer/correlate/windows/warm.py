"""A tiny run in windows, for what it compiles beyond `correlate.warm`."""

from tracer.correlate.warm import made_batch
from tracer.correlate.windows.stream import join_windows


def warm() -> None:
    """Join made packets in windows, so that what only large captures need compiles.

    What is compiled is in numba's cache for every process that uses the same cache folder.
    """
    batch = made_batch()
    for _ in join_windows([[batch]], rows=len(batch)):
        pass
