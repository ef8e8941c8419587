"""tcpdump's printed text, as people paste it into tickets, to observations.

What tcpdump printed is all there is: without `-v` no TTL or IP id, without `-e` no MAC or VLAN,
never a payload digest; such columns are null. Stamps without a date are kept on 1970-01-01
(`stamps`).
"""

from tracer.sources.tcpdump_text.reader import read_text
from tracer.sources.tcpdump_text.records import sniff

__all__ = ["read_text", "sniff"]
