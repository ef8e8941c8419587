from tracer.sources.rules.chains import Chains, Line


def test_rules_come_in_the_order_of_the_kernel() -> None:
    chains = Chains(
        {"base": "postrouting"},
        {
            "base": [
                Line("one", action="snat"),
                Line("", jumps=("side",)),
                Line("four", action="snat"),
            ],
            "side": [Line("two", action="masquerade"), Line("three", action="snat")],
            "unreached": [Line("never", action="snat")],
        },
    )
    assert [rule.text for rule in chains.rules()] == ["one", "two", "three", "four"]
