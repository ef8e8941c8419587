"""The changes of hops as JSON text, built column by column."""

from itertools import islice

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
from tracer.report.growing_texts import GrowingTexts
from tracer.report.json_text import joined, json_values

# The name of a field in the hop's own JSON, where it is not the column's.
JSON_NAMES = {"ip_len": "len"}
_MOST_KNOWN = 100_000  # texts that are kept, of some hundred bytes each


class ChangeTexts:
    """Texts of changes, each put together once: most packets of a flow change alike at a hop."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._keys = np.empty(0, np.uint64)  # each once
        self._number_of = np.empty(0, np.int64)  # a text's, of each key; several may have one text
        self._numbers: dict[bytes, int] = {}
        self._texts = GrowingTexts()

    def of(self, journey_set: JourneySet, hops: Rows) -> pa.DictionaryArray:
        """Return a JSON array of {field, from, to, cause} for each hop, `[]` for no change."""
        keys = change_keys(journey_set, hops)
        codes, firsts, valid, _ = distinct(keys, keys, NULL_U64)
        numbers = self._numbered(journey_set, keys[firsts], hops[firsts])
        places, firsts, *_ = distinct(numbers.view(np.uint64), numbers.view(np.uint64), NULL_U64)
        found = self._texts.take(numbers[firsts])
        return arrays.encoded(places.take(codes), valid, 0, found)

    def _numbered(self, journey_set: JourneySet, keys: Keys, hops: Rows) -> Rows:
        if len(self._keys) > _MOST_KNOWN:
            self._forget()
        # Those that are known are distinct: they come first, in their order, and new ones follow.
        known, keys = len(self._keys), np.concatenate([self._keys, keys])
        codes, firsts, *_ = distinct(keys, keys, NULL_U64)
        new = hops[firsts[known:] - known]
        if len(new):
            self._keys = keys[firsts]
            texts = _texts(changes_at(journey_set, new), len(new)).cast(pa.binary()).to_pylist()
            self._number_of = np.append(self._number_of, self._added(texts))
        return self._number_of[codes[known:]]

    def _added(self, texts: list[bytes]) -> list[int]:
        numbers = [self._numbers.setdefault(text, len(self._numbers)) for text in texts]
        self._texts.extend(list(islice(self._numbers, len(self._texts), None)))
        return numbers


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
