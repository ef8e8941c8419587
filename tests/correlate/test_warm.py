"""Compiling ahead compiles what joins and tables use, for the very types they use."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scenarios.catalogue import make

from tracer.correlate.join import join
from tracer.correlate.warm import warm, warm_rest
from tracer.correlate.windows import warm as windows
from tracer.correlate.windows.ordered import Horizon
from tracer.correlate.windows.stream import join_windows
from tracer.report import tables as tables_module
from tracer.report.parquet import warm as parquet
from tracer.report.tables import hop_tables, write_parquet


def compiled(*packages: str) -> dict[str, Any]:
    """The signatures of all hot functions of packages."""
    return {
        f"{name}.{word}": list(value.nopython_signatures)
        for name, module in list(sys.modules.items())
        if name.startswith(packages)
        for word, value in vars(module).items()
        if hasattr(value, "nopython_signatures")
    }


def test_a_join_and_its_tables_find_everything_compiled() -> None:
    warm()
    warm_rest()
    ahead = compiled("tracer.correlate", "tracer.core")
    tables = list(hop_tables(join(make("loss", 5).batch)))
    assert tables
    assert compiled("tracer.correlate", "tracer.core") == ahead
    assert sum(map(bool, ahead.values())) > 20


def test_windows_find_everything_compiled() -> None:
    warm()
    warm_rest()
    windows.warm()
    ahead = compiled("tracer.correlate", "tracer.core")
    batch = make("loss", 5).batch
    by_time = np.array_split(np.argsort(batch.packets["time_ns"], kind="stable"), 10)
    short = Horizon(quiet_ns=1_000_000, answer_ns=1_000_000, context_ns=1_000_000)
    capture = [batch.take(rows) for rows in by_time]
    assert len(list(join_windows([capture], rows=len(batch) // 5, horizon=short))) > 2
    assert compiled("tracer.correlate", "tracer.core") == ahead


def test_a_large_table_finds_everything_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet.warm()
    ahead = compiled("tracer.report.parquet")
    assert sum(map(bool, ahead.values())) > 5
    monkeypatch.setattr(tables_module, "_MANY_ROWS", 0)
    with (tmp_path / "hops.parquet").open("wb") as file:
        write_parquet(hop_tables(join(make("loss", 5).batch)), file)
    assert compiled("tracer.report.parquet") == ahead
