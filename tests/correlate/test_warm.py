"""Compiling ahead compiles what a join of captures uses, for the very types it uses."""

import sys
from typing import Any

from scenarios.catalogue import make

from tracer.correlate.join import join
from tracer.correlate.warm import warm, warm_rest


def compiled() -> dict[str, Any]:
    """The signatures of all hot functions of the correlator."""
    return {
        f"{name}.{word}": list(value.nopython_signatures)
        for name, module in list(sys.modules.items())
        if name.startswith("tracer.correlate")
        for word, value in vars(module).items()
        if hasattr(value, "nopython_signatures")
    }


def test_a_join_finds_everything_compiled() -> None:
    warm()
    warm_rest()
    ahead = compiled()
    join(make("loss", 5).batch)
    assert compiled() == ahead
    assert sum(map(bool, ahead.values())) > 20
