"""A progress bar on standard error, for work that takes long, where a person is watching."""

import sys
import time
from types import TracebackType
from typing import Any

_PATIENCE_S = 0.5  # work that ends sooner shows no bar


class Progress:
    """Shows how much of the input is read; nothing at all unless stderr is a terminal."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int, total: int | None) -> None:
        """Say that `done` of `total` bytes (None: unknown) are read."""
        if not sys.stderr.isatty() or time.monotonic() - self._started < _PATIENCE_S:
            return
        if self._bar is None:
            self._start()
        self._bar.update(self._task, completed=done, total=total)

    def _start(self) -> None:
        from rich import progress
        from rich.console import Console

        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.DownloadColumn(binary_units=True),
            progress.TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("reading", total=None)
        self._bar.start()
