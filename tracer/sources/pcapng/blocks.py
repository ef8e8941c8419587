"""The numbers of the pcapng format, and the counters the compiled walk fills."""

import numpy as np

SECTION = 0x0A0D0D0A  # reads the same in both byte orders
INTERFACE, OBSOLETE_PACKET, SIMPLE_PACKET, STATISTICS, ENHANCED_PACKET = 1, 2, 3, 5, 6
BYTE_ORDER_MAGIC = 0x1A2B3C4D
MIN_BLOCK = 12
MAX_BLOCK = 1 << 24  # libpcap's and Wireshark's bound as well

OPTION_END = 0
OPTION_IF_NAME, OPTION_IF_DESCRIPTION, OPTION_IF_MAC = 2, 3, 6
OPTION_IF_TSRESOL, OPTION_IF_TSOFFSET = 9, 14
OPTION_PACKET_FLAGS, OPTION_DROP_COUNT = 2, 4
OPTION_END_TIME, OPTION_IF_DROP, OPTION_OS_DROP = 3, 5, 7
UNKNOWN_DROPS = 0xFFFF  # of the obsolete packet block

# One record per interface of the current section.
INTERFACE_DTYPE = np.dtype(
    [
        ("snaplen", "<i8"),  # 0 is no limit
        ("offset_s", "<i8"),  # added to every stamp (if_tsoffset)
        ("exponent", "<i8"),  # stamps count in base ** -exponent seconds (if_tsresol)
        ("is_binary", "<i8"),  # whether the base is 2, else it is 10
    ]
)

# Why the walk stopped.
MORE, FULL, DAMAGED, OTHER = 0, 1, 2, 3

# What the walk counts (row 0), with the offset of the first (row 1).
EMPTY, BAD_PACKET, BAD_OPTIONS, BAD_TIME, NO_TIME, UNDEFINED, DROPS = range(7)
COUNTS = 7
