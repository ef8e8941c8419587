from tracer.core.nat_rules.rule import NatRule


def test_a_rule_in_words_has_the_way_to_it() -> None:
    rule = NatRule("postrouting", ("POSTROUTING", "a"), "masquerade", "-A a -j MASQUERADE")
    assert rule.words == "-A a -j MASQUERADE (POSTROUTING → a)"
    mine = rule.at("h", "n", "f.txt")
    assert (mine.host, mine.netns, mine.capture) == ("h", "n", "f.txt")
