"""Which packets somebody answers where they arrive, so that silence says something."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.protocols import SOLICITATION
from tracer.correlate.flows.exchange import ANSWERABLE
from tracer.correlate.hashing import Codes


def want_answers(packets: Any, kind: NDArray[np.int8], rows: Codes) -> NDArray[np.bool_]:
    """Return which packets want an answer, shape (rows,); `kind`: `core.enums.Kind` of each.

    Pings, SYNs, ARP requests and neighbour solicitations (RFC 4861, 7.2), but no solicitation from
    the unspecified address: silence is what that one wants (RFC 4862, 5.4).
    """
    found: NDArray[np.bool_] = np.isin(kind, ANSWERABLE)
    asks = packets["icmp_type"][rows] == SOLICITATION
    asks &= packets["ip_version"][rows] == 6
    if asks.any():
        has_name = (packets["src_hi"][rows] != 0) | (packets["src_lo"][rows] != 0)
        found |= asks & has_name
    return found
