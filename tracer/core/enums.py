"""Small closed vocabularies stored as int8 columns; `label` is the word shown."""

from enum import IntEnum


class Label(IntEnum):
    """An enum whose members read as lower-case words with dashes."""

    @property
    def label(self) -> str:
        """The word shown in output."""
        return self.name.lower().replace("_", "-")


class Decode(Label):
    """How far decoding of a packet went."""

    COMPLETE = 0
    TRUNCATED = 1  # the capture ends inside a header; what lies beyond is null
    UNKNOWN_PROTOCOL = 2  # a header this project does not read; what precedes it is there
    MALFORMED = 3  # a length or version field contradicts the bytes
    NOT_IP = 4  # decoded as far as its EtherType; neither IP nor ARP


class Encap(Label):
    """Outermost tunnel around a packet; -1 in the column is none."""

    VXLAN = 1  # RFC 7348
    GENEVE = 2  # RFC 8926
    GRE = 3  # RFC 2784, 2890
    NVGRE = 4  # RFC 7637
    IPIP = 5  # RFC 2003
    SIT = 6  # 6in4, RFC 4213
    IP6TNL = 7  # RFC 2473
    VXLAN_GPE = 8
    GTP = 9  # GTPv0, GTPv1-U (3GPP TS 29.281)
    TEREDO = 10  # RFC 4380
    L2TP = 11  # version 2, RFC 2661
    MPLS = 12  # over IP or UDP, RFC 4023, 7510
    ETHERIP = 13  # RFC 3378
    ETHERNET = 14  # IP protocol 143, RFC 8986
    LISP = 15  # RFC 9300
    TZSP = 16
    CAPWAP = 17  # RFC 5415
    AYIYA = 18
    ERSPAN = 19  # draft-foschiano-erspan: a copy from a mirror port


class Evidence(Label):
    """What a join rests on, strongest first, the last one apart."""

    NONE = 0
    SKB = 1
    CONNTRACK = 2
    FINGERPRINT = 3
    SEQUENCE = 4
    RENUMBERED = 5  # FINGERPRINT, but for TCP numbers that are shifted by a constant


class Cause(Label):
    """Why fields changed between a hop and the one before it."""

    NONE = 0
    FORWARDED = 1  # TTL fell by one: a namespace routed it
    SNAT = 2
    DNAT = 3
    UN_SNAT = 4
    UN_DNAT = 5
    SNAT_DNAT = 6  # both in one step (hairpin)
    UN_SNAT_UN_DNAT = 7
    ENCAPSULATED = 8
    DECAPSULATED = 9
    BRIDGED = 10  # crossed without routing: TTL unchanged (veth, bridge, VLAN tag)


class Outcome(Label):
    """How a journey ended."""

    DELIVERED = 1
    DROPPED = 2  # the kernel said so
    VANISHED = 3  # not seen after `outcome_point`, and it should have been
    UNFINISHED = 4  # the capture's edge, or seen at one point only
    ANSWERED_ELSEWHERE = 5
    NOT_OBSERVABLE = 6
    LOST_BY_TRACER = 7


#: Outcomes of packets that the network lost.
LOST = (Outcome.DROPPED, Outcome.VANISHED)


class Event(Label):
    """What happened to a packet on the way from one point to the next."""

    LOST = 1  # seen at the first and nowhere after it, though it should have been
    MISSED = 2  # it went on, and the capture at the second missed it
    RESENT = 3  # it repeats bytes that were lost there
    OVERTAKEN = 4  # it came to the second after one that left the first later (RFC 4737)


class Kind(Label):
    """What kind of packet a journey is about."""

    OTHER = 0
    ECHO_REQUEST = 1
    ECHO_REPLY = 2
    ICMP_ERROR = 3
    TCP_SYN = 4
    TCP_SYN_ACK = 5
    TCP_DATA = 6
    TCP_ACK = 7
    TCP_FIN = 8
    TCP_RST = 9
    UDP = 10
    ARP_REQUEST = 11
    ARP_REPLY = 12
    FRAGMENT = 13
    ICMP_OTHER = 14
