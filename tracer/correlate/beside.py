"""Two steps of a join done at once, where the one does not need the other.

It pays because compiled code and numpy release the GIL.
"""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")
ENOUGH = 100_000  # rows, below which a thread takes longer to begin than it saves


def beside(work: Callable[[], T], rows: int) -> Callable[[], T]:
    """Begin work on so many rows, and return what waits for its result, or raises what it raised.

    Of few rows it is done at once.
    """
    if rows < ENOUGH:
        value = work()
        return lambda: value
    future: Future[T] = Future()
    Thread(target=_run, args=(work, future), daemon=True).start()
    return future.result


def _run(work: Callable[[], T], future: "Future[T]") -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # raised again by who waits
        future.set_exception(error)
