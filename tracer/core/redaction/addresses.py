"""Pseudonyms of IP and MAC addresses.

The scheme is Crypto-PAn's (Xu et al., "Prefix-Preserving IP Address Anonymization", ICNP 2002):
bit n is flipped or not by a keyed function of the n bits before it, so two addresses share as long
a prefix after as before. The function is BLAKE2b here. Published Crypto-PAn libraries turn private
into public addresses and hosts into multicast groups; here every special network maps onto itself,
as the bits that lead to one are never flipped.
"""

import hashlib
import ipaddress
from collections.abc import Iterator

from tracer.core.address import NULL_U64, V4_PREFIX

# Networks whose addresses get pseudonyms inside the same network (RFC 6890) ...
_CLASSES = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12",
    "192.168.0.0/16", "224.0.0.0/4", "240.0.0.0/4",
    "fc00::/7", "fe80::/10", *(f"ff0{scope:x}::/16" for scope in range(16)), "ff00::/8",
    "ff02::1:ff00:0/104",
)  # fmt: skip
# ... and those that say nothing of anybody and stay as they are.
_KEPT = (
    "0.0.0.0/32", "127.0.0.0/8", "224.0.0.0/24", "255.255.255.255/32",
    "::/128", "::1/128", "ff02::/112",
)  # fmt: skip
_BROADCAST = 0xFFFF_FFFF_FFFF
_GROUP_AND_LOCAL = 0x0300_0000_0000  # bits of the first octet (IEEE 802, 8.2)
# Destinations of protocols between neighbours (spanning tree, LLDP), and of IP groups that are
# kept; of those of other groups the prefix.
_KEPT_MACS = ((0x0180_C200_0000, 40), (0x0100_5E00_0000, 40), (0x3333_0000_0000, 32))
_MAC_CLASSES = ((0x0100_5E00_0000, 24), (0x3333_FF00_0000, 24), (0x3333_0000_0000, 16))

_Node = tuple[int, int]  # bits of a prefix, and the prefix


class AddressPseudonyms:
    """Gives addresses their pseudonyms; `key` is 1 to 64 bytes."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[tuple[int, int], tuple[int, int]] = {}
        self._digests: dict[bytes, int] = {}

    def ip(self, hi: int, lo: int) -> tuple[int, int]:
        """Return the pseudonym of an address pair (`core.address`); null stays null."""
        if hi == NULL_U64 and lo == NULL_U64:
            return hi, lo
        found = self._known.get((hi, lo))
        if found is None:
            found = self._known[hi, lo] = self._ip(hi, lo)
        return found

    def mac(self, mac: int) -> int:
        """Return the pseudonym of a MAC: its group and local bits stay, its vendor does not.

        Broadcast, zero and null stay; groups of IP keep their prefix.
        """
        if mac in (0, _BROADCAST, NULL_U64) or any(_is_in(mac, *kept) for kept in _KEPT_MACS):
            return mac
        data = mac.to_bytes(6, "big")
        digest = hashlib.blake2b(data, key=self._key, digest_size=6, person=b"mac").digest()
        bits = next((bits for prefix, bits in _MAC_CLASSES if _is_in(mac, prefix, bits)), 0)
        stays = _GROUP_AND_LOCAL | _BROADCAST ^ _BROADCAST >> bits
        return mac & stays | int.from_bytes(digest, "big") & ~stays

    def _ip(self, hi: int, lo: int) -> tuple[int, int]:
        if hi == 0 and lo >> 32 == V4_PREFIX >> 32:
            return 0, V4_PREFIX | self._permuted(lo & 0xFFFF_FFFF, 4)
        address = self._permuted(hi << 64 | lo, 16)
        return address >> 64, address & NULL_U64

    def _permuted(self, address: int, size: int) -> int:
        width = 8 * size
        if any(address >> width - bits == prefix for bits, prefix in _KEPT_NODES[size]):
            return address
        result, data = 0, address.to_bytes(size, "big")
        for place, byte in enumerate(data):
            flips = self._digest(data[:place], size)
            for bit in range(8):
                depth = 8 * place + bit
                # The nodes of a byte's tree in the order of a heap: 1, 2 3, 4 5 6 7, ...
                flip = flips >> (1 << bit | byte >> 8 - bit) & 1
                if (depth, address >> width - depth) in _FIXED[size]:
                    flip = 0
                result = result << 1 | (byte >> 7 - bit & 1) ^ flip
        return result

    def _digest(self, prefix: bytes, size: int) -> int:
        # 256 bits, one for each node of the tree of the byte after this prefix.
        place = bytes([size]) + prefix
        found = self._digests.get(place)
        if found is None:
            digest = hashlib.blake2b(place, key=self._key, digest_size=32, person=b"ip")
            found = self._digests[place] = int.from_bytes(digest.digest(), "big")
        return found


def _is_in(mac: int, prefix: int, bits: int) -> bool:
    return mac >> 48 - bits == prefix >> 48 - bits


def _nodes(texts: tuple[str, ...], size: int) -> Iterator[_Node]:
    for network in map(ipaddress.ip_network, texts):
        if network.max_prefixlen == 8 * size:
            number = int(network.network_address)
            yield network.prefixlen, number >> 8 * size - network.prefixlen


def _ancestors(size: int) -> frozenset[_Node]:
    return frozenset(
        (depth, prefix >> bits - depth)
        for bits, prefix in _nodes(_CLASSES + _KEPT, size)
        for depth in range(bits)
    )


_KEPT_NODES = {size: tuple(_nodes(_KEPT, size)) for size in (4, 16)}
_FIXED = {size: _ancestors(size) for size in (4, 16)}
