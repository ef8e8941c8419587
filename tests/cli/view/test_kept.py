"""The newest exchanges in bounded memory."""

from made import floating_ip, web

from tracer.cli.view.condition import parse
from tracer.cli.view.kept import Kept, grouped


def test_the_newest_stay_and_all_are_counted() -> None:
    kept = Kept(exchanges=10)
    for _ in range(23):
        kept.add(floating_ip())
    assert (len(kept), kept.total) == (10, 23)
    assert [item.serial for item in kept.matching] == list(range(13, 23))


def test_sets_with_too_many_hops_go_but_the_newest_never() -> None:
    kept = Kept(hops=30)
    for _ in range(5):
        kept.add(floating_ip())  # 12 hops each
    assert [item.serial for item in kept.matching] == [3, 4]
    small = Kept(hops=5)
    small.add(floating_ip())
    assert len(small) == 1


def test_a_condition_holds_for_what_is_there_and_for_what_comes() -> None:
    kept = Kept()
    kept.add(web())
    kept.choose(parse("lost"))
    kept.add(web())
    assert [item.serial for item in kept.matching] == [1, 2, 4, 5]
    kept.choose(parse(""))
    assert len(kept.matching) == 6


def test_what_matches_goes_with_its_set() -> None:
    kept = Kept(exchanges=4)
    kept.choose(parse("dropped"))
    for _ in range(3):
        kept.add(web())
    assert [item.serial for item in kept.matching] == [5, 8]


def test_all_sets_share_the_newest_table_of_flows() -> None:
    kept = Kept()
    for _ in range(3):
        kept.add(floating_ip())
    assert len({id(item.part.flows) for item in kept.matching}) == 1


def test_exchanges_are_grouped_by_their_set() -> None:
    kept = Kept()
    kept.add(web())
    kept.add(floating_ip())
    assert [len(items) for _, items in grouped(kept.matching)] == [3, 1]
