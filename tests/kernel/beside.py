"""A thread that does the network's part during a block, until it is told to stop."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def beside(run: Callable[..., None], *arguments: Any) -> Iterator[None]:
    """Have `run(*arguments, stop)` in a thread; the file `stop` is readable once the block ends."""
    stop, stopped = os.pipe()
    thread = threading.Thread(target=run, args=(*arguments, stop))
    thread.start()
    try:
        yield
    finally:
        os.close(stopped)
        thread.join()
        os.close(stop)
