"""What the kernel told of packets beyond their bytes, as the comments of a capture file."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.report.columns import observation_column, taken

#: Columns in the order they are told, and how they are called there.
_NAMES = {
    "hook": "hook", "drop_reason": "drop reason", "drop_location": "freed at",
    "route_table": "route table", "route_gateway": "gateway", "route_oif": "to ifindex",
    "route_error": "route error", "ct_original_src": "ct original", "ct_original_sport": "port",
    "ct_original_dst": "to", "ct_original_dport": "port", "ct_reply_src": "ct reply",
    "ct_reply_sport": "port", "ct_reply_dst": "to", "ct_reply_dport": "port",
    "ct_status": "ct status", "ct_zone": "ct zone", "gso_size": "segments of", "skb": "skb",
    "mark": "mark", "cpu": "cpu",
}  # fmt: skip
_ZERO_SAYS_NOTHING = ("mark", "ct_zone", "route_error")


def fact_comments(
    batch: ObservationBatch, remark: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the comments of a batch's packets: UTF-8 bytes and where each begins (n + 1).

    `remark` comes last in each. Nulls are not told; the columns' nulls stay nulls.
    """
    rows = np.arange(len(batch))
    parts = [_part(batch, column, name, rows) for column, name in _NAMES.items()]
    texts = pc.binary_join_element_wise(*parts, remark, "; ", null_handling="skip")
    texts = pa.array(texts, pa.large_string()) if not len(batch) else texts.cast(pa.large_string())
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    _, offsets, data = texts.buffers()
    starts = np.frombuffer(offsets, np.int64, len(batch) + 1)
    return np.frombuffer(data or b"", np.uint8), starts


def _part(batch: ObservationBatch, column: str, name: str, rows: NDArray[np.int64]) -> pa.Array:
    values = observation_column(batch, column, rows)
    if column in _ZERO_SAYS_NOTHING:
        values = pc.if_else(pc.equal(values, 0), None, values)
    if column == "drop_reason":
        values = _reasons(batch, values)
    return pc.binary_join_element_wise(name, values.cast(pa.string()), " ")


def _reasons(batch: ObservationBatch, numbers: pa.Array) -> pa.Array:
    # By name, as only the kernel that saw them knows what the numbers mean.
    words = batch.labels.get("drop_reason", {})
    codes = np.asarray(numbers.fill_null(-1))
    distinct, places = np.unique(codes, return_inverse=True)
    known = [None if n < 0 else words.get(n, str(n)) for n in distinct.tolist()]
    return taken(known, places)
