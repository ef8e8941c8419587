"""The columns: aligned records, one null each, every column in a group of the contract."""

import numpy as np
import pytest

from tracer.core.schema import (
    BY_NAME,
    COLUMNS,
    PACKET_DTYPE,
    SECTION_DTYPES,
    Column,
    null_of,
    null_record,
)

# The columns the contract names; `ct_original` and `ct_reply` are spread over their parts.
CONTRACT = """
time_ns capture frame src_mac dst_mac vlan vlan_inner encap vni outer_src outer_dst
ip_version src dst ttl ip_id df frag_offset more_fragments tos ip_len proto sport dport
icmp_type icmp_code icmp_id icmp_seq tcp_seq tcp_ack tcp_flags payload_len payload_digest
arp_op arp_sender_ip arp_sender_mac arp_target_ip skb ifindex cpu mark ct_status ct_zone
drop_reason route_table cap_len wire_len gso_size
"""


@pytest.mark.parametrize("name", CONTRACT.split())
def test_the_contract_has_its_columns(name: str) -> None:
    assert name in BY_NAME


def test_names_are_unique_and_documented() -> None:
    assert len(BY_NAME) == len(COLUMNS)
    assert all(column.doc for column in COLUMNS)


def test_packets_are_aligned_records() -> None:
    for name in PACKET_DTYPE.names or ():
        field, offset = (PACKET_DTYPE.fields or {})[name][:2]
        assert offset % field.alignment == 0, name


@pytest.mark.parametrize("dtype", [PACKET_DTYPE, *SECTION_DTYPES.values()])
def test_a_null_record_is_null_in_every_column(dtype: np.dtype[np.void]) -> None:
    record = null_record(dtype)[0]
    for name in set(dtype.names or ()) - {"row", "decode"}:
        column = BY_NAME.get(name) or BY_NAME[name.removesuffix("_hi").removesuffix("_lo")]
        assert record[name] == null_of(column), name


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_a_null_fits_its_column(column: Column) -> None:
    dtype = np.dtype("u8" if column.kind == "ip" else column.dtype)
    assert int(np.array(null_of(column), dtype)) == null_of(column)
