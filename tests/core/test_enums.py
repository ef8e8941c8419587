"""Enum words are stable: they are in every output."""

from tracer.core.enums import Cause, Evidence, Kind, Outcome


def test_words_of_the_contract() -> None:
    assert {"delivered", "dropped", "vanished", "unfinished"} <= {o.label for o in Outcome}
    assert {"skb", "conntrack", "fingerprint", "sequence"} <= {e.label for e in Evidence}
    assert {"snat", "dnat", "un-snat", "un-dnat", "forwarded"} <= {c.label for c in Cause}
    assert "echo-request" in {kind.label for kind in Kind}


def test_stronger_evidence_has_a_smaller_number() -> None:
    assert Evidence.SKB < Evidence.CONNTRACK < Evidence.FINGERPRINT < Evidence.SEQUENCE
