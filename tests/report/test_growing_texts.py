"""Texts that are kept are those that are taken, however many there are."""

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tracer.report.growing_texts import GrowingTexts


@given(st.lists(st.lists(st.text(max_size=20), max_size=9), max_size=9), st.randoms())
def test_texts_are_taken_by_their_numbers(parts: list[list[str]], random: Random) -> None:
    kept, texts = [], GrowingTexts()
    for part in parts:
        texts.extend([text.encode() for text in part])
        kept += part
        assert len(texts) == len(kept)
        numbers = [random.randrange(len(kept)) for _ in range(12)] if kept else []
        taken = texts.take(np.array(numbers, np.int64))
        assert taken.to_pylist() == [kept[number] for number in numbers]


def test_what_was_taken_stays_as_it_is() -> None:
    texts = GrowingTexts()
    texts.extend([b"a"])
    taken = texts.take(np.array([0, 0]))
    texts.extend([b"bc"] * 100)
    assert taken.to_pylist() == ["a", "a"]
    assert texts.take(np.array([100, 0])).to_pylist() == ["bc", "a"]
