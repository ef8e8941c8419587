"""A made table written once, for what it compiles on the way."""

from io import BytesIO

import numpy as np
import pyarrow as pa

from tracer.report.parquet.writer import write

_ROWS = 4096


def warm() -> None:
    """Write columns in every encoding there is, with nulls and without, so that it compiles.

    What is compiled is in numba's cache for every process that uses the same cache folder.
    """
    numbers = np.arange(_ROWS)
    gaps = numbers % 7 == 0
    texts = pa.array([f"text {number}" for number in range(200)])
    columns: dict[str, pa.Array] = {}
    for name, mask in (("whole", None), ("with nulls", gaps)):
        columns |= {
            f"steps {name}": pa.array(numbers * 1000, mask=mask),
            f"runs {name}": pa.array(numbers // 512, mask=mask),
            f"few {name}": pa.array(numbers % 100, mask=mask),
            f"many {name}": pa.array(numbers * 0x9E3779B97F4A7C1, mask=mask),
            f"shares {name}": pa.array(numbers / 8, mask=mask),
            f"flags {name}": pa.array(numbers % 2 == 0, mask=mask),
            f"texts {name}": pa.DictionaryArray.from_arrays(
                pa.array((numbers % 200).astype(np.int32), mask=mask), texts
            ),
            f"one text {name}": pa.DictionaryArray.from_arrays(
                pa.array(np.zeros(_ROWS, np.int32), mask=mask), texts
            ),
        }
    steps = [name for name in columns if name.startswith("steps")]
    write([pa.table(columns)], BytesIO(), steps, steps)
