"""Work done ahead of who asks for it, in a thread of its own."""

import contextlib
import importlib
import os
import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

ENDS_S = 2.0  # how long what is being made is waited for when nobody wants it any more
T = TypeVar("T")
_END = object()
_Item = tuple[T | None, BaseException | None, bool]  # value, what was raised, whether it ended


def load_ahead(module: str) -> None:
    """Import a module in a thread: it will be needed once work is done that releases the GIL."""
    threading.Thread(target=_load, args=(module,), daemon=True).start()


def _load(module: str) -> None:
    with contextlib.suppress(ImportError):  # told where it is needed
        importlib.import_module(module)


def ahead(values: Iterator[T], depth: int = 1, *, nice: int = 0) -> Iterator[T]:
    """Return the values of an iterator, `depth` of which may be made before they are asked for.

    `nice`: by how much the thread gives way to others, as nice(2) has it.

    They are made in a thread, which begins at once, and pays where the work releases the GIL
    (compiled code, numpy, Arrow). What it raises is raised where the value is asked for; it ends
    when the generator that is returned is closed, but for one that waits for a FIFO nobody writes
    to, which is left to the end of the process.
    """
    made: queue.SimpleQueue[_Item[T]] = queue.SimpleQueue()
    room = threading.Semaphore(depth)
    is_closed = threading.Event()
    thread = threading.Thread(target=_make, args=(values, made, room, is_closed, nice), daemon=True)
    thread.start()
    return _taken(made, room, is_closed, thread)


def _taken(
    made: "queue.SimpleQueue[_Item[T]]",
    room: threading.Semaphore,
    is_closed: threading.Event,
    thread: threading.Thread,
) -> Iterator[T]:
    try:
        while True:
            value, error, is_end = made.get()
            if error is not None:
                raise error
            if is_end:
                return
            room.release()
            yield value  # type: ignore[misc]  # a value is there unless it is the end
            del value
    finally:
        is_closed.set()
        room.release()
        thread.join(ENDS_S)


def _make(
    values: Iterator[T],
    made: "queue.SimpleQueue[_Item[T]]",
    room: threading.Semaphore,
    is_closed: threading.Event,
    nice: int,
) -> None:
    # A value is begun only when there is room for it: none waits beside those in the queue.
    try:
        os.nice(nice)  # Linux: of this thread alone
        while True:
            room.acquire()
            if is_closed.is_set():
                return
            value = next(values, _END)
            if value is _END:
                break
            made.put((value, None, False))  # type: ignore[arg-type]  # not the end
            del value
        made.put((None, None, True))
    except BaseException as error:  # raised again by who asks
        made.put((None, error, True))
