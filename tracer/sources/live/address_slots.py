"""Hash tables of kernel addresses: where an address is in one."""

from typing import Any

import numpy as np

from tracer.core.jit import inner_plain
from tracer.core.mixing import GOLDEN


@inner_plain
def slot_of(addresses: Any, address: Any) -> Any:
    """Return the slot of an address (uint64), or the free one that it may be put into.

    `addresses` are a power of two, of which one is free at least: 0, which is no address.
    """
    mask = len(addresses) - 1
    at = np.int64((address * GOLDEN) >> np.uint64(33)) & mask
    while addresses[at] != 0 and addresses[at] != address:
        at = (at + 1) & mask
    return at
