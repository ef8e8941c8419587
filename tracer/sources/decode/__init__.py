"""Bytes → columns: a row for every packet, compiled by numba, one small file a protocol.

`rows.Decoder` is the entry. Every header function has the form `f(data, row, cursor)`: it
reads at `cursor.position`, fills the row, moves on and names the next layer in `cursor.layer`.
"""
