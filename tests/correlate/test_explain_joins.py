"""What is said of a join holds of its rows."""

from scenarios.catalogue import make

from tracer.correlate.explain_joins import explain_joins
from tracer.correlate.join import join


def test_a_translation_keeps_the_number_and_changes_the_source() -> None:
    found = join(make("snat_dvr", 3, 0.2).batch)
    reasons = explain_joins(found, 0)
    assert len(reasons) == found.journeys["n_hops"][0] - 1
    translated = [reason for reason in reasons if reason.cause == "snat"]
    assert len(translated) == 1
    assert {"payload_digest", "ip_id"} <= set(translated[0].kept)
    assert {"src", "ttl"} <= set(translated[0].changed)


def test_equal_packets_are_named_as_rejected() -> None:
    found = join(make("udp_equal_id0", 3, 0.2).batch)
    journey = int(found.journeys["ambiguous"].argmax())
    rejected = [r for reason in explain_joins(found, journey) for r in reason.rejected]
    assert any("equal packet" in r.reason for r in rejected)
    assert all(r.journey != journey for r in rejected)
