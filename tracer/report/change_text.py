"""The changes of hops as JSON text, built column by column."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tracer.core.address import NULL_U64
from tracer.core.change_keys import change_keys
from tracer.core.changes import FieldChanges, changes_at
from tracer.core.distinct import distinct
from tracer.core.enums import Cause
from tracer.core.journeys import JourneySet
from tracer.core.mixing import Keys
from tracer.core.rows import Rows
from tracer.core.schema import BY_NAME
from tracer.report import arrays
from tracer.report.columns import labels, stored_column
from tracer.report.json_text import joined, json_values

# The name of a field in the hop's own JSON, where it is not the column's.
JSON_NAMES = {"ip_len": "len"}
_MOST_KNOWN = 100_000  # texts that are kept, of some hundred bytes each


class ChangeTexts:
    """Texts of changes, each put together once: most packets of a flow change alike at a hop."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}  # a text's number, by key; several keys may have one text
        self._numbers: dict[bytes, int] = {}
        self._texts: list[bytes] = []  # in UTF-8: each is in the dictionaries of many tables

    def of(self, journey_set: JourneySet, hops: Rows) -> pa.DictionaryArray:
        """Return a JSON array of {field, from, to, cause} for each hop, `[]` for no change."""
        keys = change_keys(journey_set, hops)
        codes, firsts, valid, _ = distinct(keys, keys, NULL_U64)
        numbers = self._numbered(journey_set, keys[firsts].tolist(), hops[firsts])
        places, firsts, *_ = distinct(numbers, numbers, NULL_U64)
        found = [self._texts[number] for number in numbers[firsts].tolist()]
        return arrays.encoded(places.take(codes), valid, 0, arrays.utf8(found))

    def _numbered(self, journey_set: JourneySet, keys: list[int], hops: Rows) -> Keys:
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
            self._numbers.clear()
            self._texts.clear()
        found = [self._known.get(key, -1) for key in keys]
        numbers = np.array(found, np.int64)
        new = np.flatnonzero(numbers < 0)
        texts = _texts(changes_at(journey_set, hops[new]), len(new)).cast(pa.binary())
        for place, text in zip(new.tolist(), texts.to_pylist(), strict=True):
            number = self._numbers.setdefault(text, len(self._texts))
            if number == len(self._texts):
                self._texts.append(text)
            self._known[keys[place]] = numbers[place] = number
        return numbers.view(np.uint64)


def _texts(changes: list[FieldChanges], count: int) -> pa.Array:
    spread = [_spread(found, count) for found in changes]
    if not spread:
        return arrays.texts(["[]"] * count)
    # Each change begins with a comma, and the first comma of a hop is cut: Arrow's own skipping of
    # nulls between separators loses the rows where every value is null.
    inside = pc.binary_join_element_wise(*spread, arrays.text(""), null_handling="replace")
    return joined("[", pc.utf8_slice_codeunits(inside, 1), "]")


def _spread(found: FieldChanges, count: int) -> pa.Array:
    name = JSON_NAMES.get(found.field, found.field)
    column = BY_NAME[found.field]
    text = joined(
        f',{{"field":"{name}","from":', json_values(stored_column(column, found.before)),
        ',"to":', json_values(stored_column(column, found.after)),
        ',"cause":', json_values(labels(Cause, np.where(found.cause > 0, found.cause, -1))), "}",
    )  # fmt: skip
    index = np.full(count, -1, np.int64)
    index[found.hops] = np.arange(len(found.hops))
    return text.take(arrays.of(index, index < 0))
