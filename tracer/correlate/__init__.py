"""Observation batches in, journeys out. Pure: no I/O, no clock, no randomness.

`join` is the front door; `windows` calls it for a part of the packets at a time, and `flow_paths`
stands in for it where captures share no packet. `steps` go from rows to packets, and `result` from
packets to journeys. What they call are packages, each of which imports only from those before it
(`tests/test_arrows.py`):

    packets      what tells packets apart, whatever forwards or translates them
    order        in which order packets pass links, and which ways they take
    nat          which streams are one direction of one flow, across translations
    clocks       which captures share a clock, and what the others are off by
    conntrack    what entries of conntrack prove, and when
    joining      which rows are one packet
    renumbered   TCP that something on the way renumbers, in one numbering
    hops         where each hop came from, what changed, how sure its join is
    flows        flows, answers, retransmissions, ICMP errors
    outcomes     how journeys ended, and why
"""
