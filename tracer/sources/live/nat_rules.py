"""Whether a network namespace translates addresses at all: asked of nf_tables, and of iptables.

NAT has hooks only where there is a chain of type nat (nf_nat_register_fn); elsewhere programs
around it would cost every packet some 50 ns a hook and see nothing.
"""

import errno
import socket
import struct
from pathlib import Path

from tracer.sources.live import btf

_NF_TABLES = Path("/sys/module/nf_tables")
_NETLINK_NETFILTER = 12
_GET_CHAINS = 10 << 8 | 4  # NFNL_SUBSYS_NFTABLES, NFT_MSG_GETCHAIN
_REQUEST_DUMP = 0x301
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("<IHHII")
_NAT_CHAIN = struct.pack("<HH4s", 8, 7, b"nat\0")  # NFTA_CHAIN_TYPE
_LEGACY = ("ip_tables_names", "ip6_tables_names")
_ABSENT = (errno.EINVAL, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.ENOENT)


def has_nat() -> bool:
    """Return whether this thread's network namespace has NAT chains; True where nobody can say."""
    try:
        if _has_nf_tables() and _has_nft_chain():
            return True
        return any(_has_legacy_table(name) for name in _LEGACY)
    except OSError:
        return True


def _has_nf_tables() -> bool:
    # Asked first: a question to nf_tables would make the kernel load it.
    return _NF_TABLES.exists() or btf.has_text("nf_tables_getchain")


def _has_legacy_table(name: str) -> bool:
    try:
        return "nat" in Path("/proc/thread-self/net", name).read_text().split()
    except FileNotFoundError:  # the module is not loaded
        return False


def _has_nft_chain() -> bool:
    # Dumps the chains of every family until one says that it is of type nat.
    message = _HEADER.pack(20, _GET_CHAINS, _REQUEST_DUMP, 1, 0) + bytes(4)
    return dump_says(_NETLINK_NETFILTER, message, (_NAT_CHAIN,))


def dump_says(protocol: int, message: bytes, words: tuple[bytes, ...]) -> bool:
    """Return whether what the kernel dumps in answer to a netlink message has one of the words.

    In this thread's network namespace. Raises OSError where the kernel does not say.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as asked:
        asked.settimeout(1)
        asked.send(message)
        while True:
            answer = asked.recv(1 << 16)
            if any(word in answer for word in words):
                return True
            if _is_last(answer):
                return False


def _is_last(answer: bytes) -> bool:
    offset = 0
    while offset + _HEADER.size <= len(answer):
        length, kind, *_ = _HEADER.unpack_from(answer, offset)
        if kind == _DONE:
            return True
        if kind == _ERROR:
            (code,) = struct.unpack_from("<i", answer, offset + _HEADER.size)
            if -code in _ABSENT:
                return True
            raise OSError(-code, "the kernel does not say")
        offset += (length + 3) & ~3
    return False
