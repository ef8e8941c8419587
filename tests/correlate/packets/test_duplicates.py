"""A packet that a point shows twice: each time is a hop, and the later one copies the former."""

from scenarios.catalogue import make

from tracer.correlate.join import join


def test_duplicates_are_hops_that_come_from_what_they_copy() -> None:
    batch = make("span_duplicates", 3, 0.3).batch
    found = join(batch)
    duplicates = found.journeys["duplicates"].sum()
    assert duplicates > 0
    assert found.journeys["n_hops"].sum() == len(batch.packets)
    places = [(point.host, point.netns, point.device) for point in batch.points]
    at = [places[point] for point in batch.packets["point"][found.hops["row"]]]
    copies = 0
    for journey in found.journeys:
        first, count = journey["first_hop"], journey["n_hops"]
        above = found.hops["parent"][first : first + count]
        copies += sum(
            at[first + n] == at[first + parent - 1] for n, parent in enumerate(above) if parent
        )
    assert copies == duplicates
