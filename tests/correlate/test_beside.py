"""What is done beside something else: the same result, and no error is lost."""

import threading

import numpy as np
import pytest
from scenarios.catalogue import make

from tracer.correlate import beside
from tracer.correlate.join import join


@pytest.mark.parametrize("rows", [0, beside.ENOUGH])
def test_the_result_is_waited_for(rows: int) -> None:
    here = threading.get_ident()
    wait = beside.beside(threading.get_ident, rows)
    assert (wait() == here) == (rows < beside.ENOUGH)
    assert wait() == wait()


def test_an_error_is_raised_where_the_result_is_wanted() -> None:
    def work() -> int:
        raise ValueError("this")

    wait = beside.beside(work, beside.ENOUGH)
    for _ in range(2):
        with pytest.raises(ValueError, match="this"):
            wait()


@pytest.mark.parametrize("name", ["loss", "snat_dvr_conntrack", "tenants"])
def test_journeys_are_the_same_with_threads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = make(name, 1)
    alone = join(scenario.batch, scenario.conntrack)
    monkeypatch.setattr(beside, "ENOUGH", 0)
    both = join(scenario.batch, scenario.conntrack)
    for one, other in ((alone.journeys, both.journeys), (alone.hops, both.hops)):
        for field in one.dtype.names or ():
            assert np.array_equal(one[field], other[field], equal_nan=one[field].dtype.kind == "f")
