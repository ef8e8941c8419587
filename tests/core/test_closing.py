"""A block closes what it began with, however it ends."""

import pytest

from tracer.core.closing import Closing


class Held(Closing):
    closed = 0

    def close(self) -> None:
        self.closed += 1


def test_the_block_has_the_thing_itself_and_closes_it() -> None:
    held = Held()
    with held as inside:
        assert inside is held
        assert held.closed == 0
    assert held.closed == 1


def test_an_error_goes_on_and_closes_it() -> None:
    held = Held()
    with pytest.raises(KeyError), held:
        raise KeyError
    assert held.closed == 1
