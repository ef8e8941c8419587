"""Work done ahead of who asks for it, in a thread of its own."""

import contextlib
import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")
_Item = tuple[T | None, BaseException | None, bool]  # value, what was raised, whether it ended


def ahead(values: Iterator[T], depth: int = 1) -> Iterator[T]:
    """Return the values of an iterator, `depth` of which may be made before they are asked for.

    They are made in a thread, which begins at once, and pays where the work releases the GIL
    (compiled code, numpy, Arrow). What it raises is raised where the value is asked for; it ends
    when the generator that is returned is closed.
    """
    made: queue.Queue[_Item[T]] = queue.Queue(depth)
    is_closed = threading.Event()
    thread = threading.Thread(target=_make, args=(values, made, is_closed), daemon=True)
    thread.start()
    return _taken(made, is_closed, thread)


def _taken(
    made: "queue.Queue[_Item[T]]", is_closed: threading.Event, thread: threading.Thread
) -> Iterator[T]:
    try:
        while True:
            value, error, is_end = made.get()
            if error is not None:
                raise error
            if is_end:
                return
            yield value  # type: ignore[misc]  # a value is there unless it is the end
            del value
    finally:
        is_closed.set()
        with contextlib.suppress(queue.Empty):
            while True:  # room for what the thread is about to put
                made.get_nowait()
        thread.join()


def _make(values: Iterator[T], made: "queue.Queue[_Item[T]]", is_closed: threading.Event) -> None:
    try:
        for value in values:
            made.put((value, None, False))
            del value
            if is_closed.is_set():
                return
        made.put((None, None, True))
    except BaseException as error:  # raised again by who asks
        made.put((None, error, True))
