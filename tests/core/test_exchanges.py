"""Which journeys are shown together, and in which order."""

import numpy as np
from made import batch_of, journey_set_of

from tracer.core.exchanges import exchange_order, exchange_roots, first_exchanges
from tracer.core.journeys import JourneySet


def journeys(*times_and_links: tuple[int, dict[str, int]]) -> JourneySet:
    """Journeys of one hop each, at the given times, with the given links."""
    batch = batch_of([{"time_ns": time} for time, _ in times_and_links])
    made = [{"rows": [row], **links} for row, (_, links) in enumerate(times_and_links)]
    return journey_set_of(batch, made)


def orders(journey_set: JourneySet, chosen: list[int] | None = None) -> list[list[int]]:
    numbers = None if chosen is None else np.array(chosen)
    return [exchange.tolist() for exchange in exchange_order(journey_set, numbers)]


def test_a_reply_follows_its_request() -> None:
    assert orders(journeys((10, {"reply": 2}), (20, {}), (30, {"request": 0}))) == [[0, 2], [1]]


def test_exchanges_are_in_time_order() -> None:
    assert orders(journeys((50, {}), (20, {}), (30, {}))) == [[1], [2], [0]]


def test_a_request_comes_first_even_when_clocks_say_otherwise() -> None:
    assert orders(journeys((30, {"reply": 1}), (20, {"request": 0}))) == [[0, 1]]


def test_a_chain_is_one_exchange() -> None:
    handshake = journeys((1, {"reply": 1}), (2, {"request": 0, "reply": 2}), (3, {"request": 1}))
    assert orders(handshake) == [[0, 1, 2]]
    assert exchange_roots(handshake).tolist() == [0, 0, 0]


def test_a_long_chain_has_one_root() -> None:
    chain = journeys((0, {}), *((n, {"request": n - 1}) for n in range(1, 100)))
    assert set(exchange_roots(chain).tolist()) == {0}


def test_an_error_is_shown_with_the_packet_it_quotes() -> None:
    assert orders(journeys((10, {}), (15, {}), (20, {"quotes": 0}))) == [[0, 2], [1]]


def test_a_reply_without_its_request_stands_alone() -> None:
    both = journeys((10, {"reply": 1}), (20, {"request": 0}))
    assert orders(both, [1]) == [[1]]


def test_journeys_that_name_each_other_are_one_exchange() -> None:
    ring = journeys((1, {"request": 1}), (2, {"request": 0}))
    assert sorted(number for exchange in orders(ring) for number in exchange) == [0, 1]


def test_no_journeys_are_no_exchanges() -> None:
    assert orders(journeys()) == []
    assert orders(journeys((1, {})), []) == []


def test_the_first_exchanges_are_whole_and_ascending() -> None:
    both = journeys((30, {"reply": 2}), (20, {}), (40, {"request": 0}), (50, {}))
    every = np.arange(4)
    for count, kept in ((1, [1]), (2, [0, 1, 2]), (3, [0, 1, 2, 3]), (9, [0, 1, 2, 3])):
        chosen, exchanges = first_exchanges(both, every, count)
        assert (chosen.tolist(), exchanges) == (kept, min(count, 3))
    assert first_exchanges(both, every, None)[0].tolist() == every.tolist()
    assert first_exchanges(both, every[:0], 2)[0].tolist() == []
