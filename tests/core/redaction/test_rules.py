"""Redacted rules still fit redacted packets, and hold nothing of what they were."""

from pathlib import Path

import numpy as np

import tracer
from tracer.core.nat_rules.matching import rules_at
from tracer.core.redaction.redactor import Redactor
from tracer.sources.rules import read_rules

NAMES = ("192.168.3.69", "100.122.0.145", "b6a86b9f", "compute03", "acme", "10.9.")


def test_the_same_rules_fit(captures: Path) -> None:
    whole = tracer.read(captures / "fip-outbound").journey_set
    redacted = Redactor(b"0123456789abcdef").journey_set(whole)
    told, plain = rules_at(redacted), rules_at(whole)
    assert np.array_equal(told[0], plain[0])
    assert [told[2][code] for code in told[1]] == [plain[2][code] for code in plain[1]]
    text = repr(redacted.nat_rules)
    assert not any(name in text for name in NAMES)
    assert "neutron-l3-agent-float-snat" in text


def test_comments_and_names_are_gone(captures: Path, tmp_path: Path) -> None:
    file = tmp_path / "compute03-iptables.txt"
    file.write_text(
        '-A POSTROUTING -m comment --comment "acme" -j acme-out\n'
        "-A acme-out -s 10.9.0.0/24 ! -o acme7.12 -p tcp --dport 80:90 -m set --match-set acme src"
        " -j SNAT --to-source 10.9.0.1-10.9.0.2:1024-2048\n"
    )
    journey_set = tracer.read(captures / "east-west").journey_set
    rules, _ = read_rules(file)
    journey_set.nat_rules = tuple(rules)
    (told,) = Redactor(b"0123456789abcdef").journey_set(journey_set).nat_rules
    assert not any(name in repr(told) for name in NAMES)
    assert "--dport 80:90 (and more) -j SNAT --to-source 10." in told.text
