"""How a command that runs on is told to end; apart, because signals come before imports end."""

import signal
from types import FrameType


class Stop:
    """Set by SIGINT and SIGTERM; a second signal acts as usual."""

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Stop":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # as signal() gave it

    def _request(self, number: int, _: FrameType | None) -> None:
        self.requested = True
        signal.signal(number, signal.SIG_DFL)
