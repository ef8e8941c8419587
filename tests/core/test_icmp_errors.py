"""Words for ICMP errors: of the codes that have some, of types alone, and of none."""

import pytest

from tracer.core.icmp_errors import error_name


@pytest.mark.parametrize(
    ("version", "type_", "code", "words"),
    [
        (4, 3, 3, "port unreachable"),  # RFC 792
        (6, 1, 4, "port unreachable"),  # RFC 4443, section 3.1
        (4, 11, 0, "TTL exceeded in transit"),
        (6, 3, 0, "hop limit exceeded in transit"),
        (4, 4, 0, "source quench, code 0"),
        (4, 3, 14, "destination unreachable, code 14"),
        (4, 3, None, "destination unreachable"),
        (4, 99, 0, "type 99, code 0"),
        (None, 3, 3, "type 3, code 3"),
        (6, None, None, "type unknown"),
    ],
)
def test_words_of(version: int | None, type_: int | None, code: int | None, words: str) -> None:
    assert error_name(version, type_, code) == words
