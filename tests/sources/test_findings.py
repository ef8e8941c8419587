from tracer.core.warnings import InputWarning
from tracer.sources.findings import Findings


def test_a_kind_found_again_adds_to_its_count_and_keeps_the_first_place() -> None:
    findings = Findings("x")
    findings.add("a", "first", 10)
    findings.add("b", "other", None, 0)
    findings.extend([InputWarning("a", "second", "y", 20, 4), InputWarning("c", "third")])
    assert findings.warnings() == (
        InputWarning("a", "first", "x", 10, 5),
        InputWarning("c", "third", "x"),
    )
    assert "a" in findings
    assert "b" not in findings
