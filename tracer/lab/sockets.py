"""Sockets inside the lab's namespaces, and a rule that loses one packet there."""

import contextlib
import itertools
import os
import socket
import threading
from collections.abc import Iterator

from tracer.core.errors import HostError, LabError
from tracer.lab.commands import run_in
from tracer.lab.state import netns_stat

TIMEOUT_S = 10.0
_entering = threading.Lock()
_losses = itertools.count(1)


def open_socket(netns: str, kind: int, protocol: int = 0) -> socket.socket:
    """Return an IPv4 socket of a namespace; the calling thread is back in its own afterwards.

    A socket belongs to the namespace its thread was in when it was made. Raises LabError when the
    namespace is not there.
    """
    from pyroute2 import netns as namespaces

    if os.geteuid() != 0:
        raise HostError("Traffic in the lab needs root.", hint="Run it with sudo.")
    if netns_stat(netns) is None:
        raise LabError(f"There is no network namespace {netns}.", hint="Run: sudo tracer lab up")
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        with _entering:
            namespaces.setns(netns, flags=0)
            try:
                made = socket.socket(socket.AF_INET, kind, protocol)
            finally:
                namespaces.setns(home)
    finally:
        os.close(home)
    made.settimeout(TIMEOUT_S)
    return made


@contextlib.contextmanager
def arriving(what: str) -> Iterator[None]:
    """Turn a socket's timeout into a LabError that says what did not arrive."""
    try:
        yield
    except TimeoutError as error:
        raise LabError(
            f"{what} did not arrive within {TIMEOUT_S:.0f} s.", hint="Run: tracer lab status"
        ) from error


@contextlib.contextmanager
def lose_one(netns: str, match: str) -> Iterator[None]:
    """Drop the first forwarded packet that matches (nft expression), and no other.

    Raises LabError if none came. The table is removed at the end.
    """
    table = f"tracer-lab-loss-{next(_losses)}"
    rules = f"""
table inet {table} {{
    counter lost {{ }}
    chain forward {{
        type filter hook forward priority -1; policy accept;
        {match} limit rate 1/day burst 1 packets counter name lost drop
    }}
}}
"""
    run_in(netns, ["nft", "-f", "-"], rules)
    try:
        yield
        counted = run_in(netns, ["nft", "list", "counter", "inet", table, "lost"])
        if "packets 1 " not in counted:
            message = f"The rule in {netns} lost no packet or more than one: {counted}"
            raise LabError(message, "End other traffic in the lab, and record again.")
    finally:
        run_in(netns, ["nft", "delete", "table", "inet", table])
