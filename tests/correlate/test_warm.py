"""Compiling ahead compiles what joins and tables use, for the very types they use."""

import sys
from typing import Any

from scenarios.catalogue import make

from tracer.correlate.join import join
from tracer.correlate.warm import warm, warm_rest
from tracer.report.tables import hop_tables


def compiled() -> dict[str, Any]:
    """The signatures of all hot functions of the correlator and of the core."""
    return {
        f"{name}.{word}": list(value.nopython_signatures)
        for name, module in list(sys.modules.items())
        if name.startswith(("tracer.correlate", "tracer.core"))
        for word, value in vars(module).items()
        if hasattr(value, "nopython_signatures")
    }


def test_a_join_and_its_tables_find_everything_compiled() -> None:
    warm()
    warm_rest()
    ahead = compiled()
    tables = list(hop_tables(join(make("loss", 5).batch)))
    assert tables
    assert compiled() == ahead
    assert sum(map(bool, ahead.values())) > 20
