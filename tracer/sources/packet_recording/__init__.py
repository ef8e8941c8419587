"""Observations kept in a pcapng file: packets that any tool reads, and the columns beside them.

Each observation is a packet on an interface for its point. What no packet can hold (the buffer,
conntrack's tuples, the route, the reason of a drop) is in its comment in words, and in blocks of a
type for local use (draft-ietf-opsawg-pcapng, 11.1) in columns: with these a recording read back is
what was seen. The last block says where they are and how long the file is; a file that another tool
has changed since is read as packets are.
"""
