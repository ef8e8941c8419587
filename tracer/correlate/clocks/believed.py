"""How far clocks whose stamps are believed may be off each other all the same."""

import numpy as np
from numpy.typing import NDArray

from tracer.correlate.clocks.samples import Samples
from tracer.correlate.hashing import Codes

Times = NDArray[np.int64]


def believed_to(samples: Samples, scale: Codes, time: Times, member: Codes) -> NDArray[np.float64]:
    """Return how far each scale may be off the largest of its group, nanoseconds, (scales,).

    `member`: equal for scales whose stamps no packet contradicts. The least delays each way bound
    how far two of these are apart, by way of others, too; what goes one way only says nothing, and
    leaves it infinite.
    """
    count = len(member)
    sizes = np.bincount(scale, minlength=count)
    found = np.zeros(count)
    least = np.full((count, count), np.inf)
    left, right = scale[samples.left], scale[samples.right]
    delay = np.maximum((time[samples.right] - time[samples.left]) * samples.sign, 0)
    for ends, sign in (((left, right), 1), ((right, left), -1)):
        which = (samples.sign == sign) & (member[left] == member[right])
        np.minimum.at(least, (ends[0][which], ends[1][which]), delay[which].astype(np.float64))
    apart = np.maximum(least, least.T)
    for group in np.flatnonzero(np.bincount(member, minlength=count) > 1):
        mine = np.flatnonzero(member == group)
        far = apart[np.ix_(mine, mine)]
        np.fill_diagonal(far, 0.0)
        for via in range(len(mine)):
            far = np.minimum(far, far[:, via : via + 1] + far[via])
        bound = far[int(np.argmax(sizes[mine]))]
        found[mine] = bound
    return found
