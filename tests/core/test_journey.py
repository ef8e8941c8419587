"""A journey's fields are the columns of JOURNEY_DTYPE, besides what it holds as values."""

from dataclasses import fields

from tracer.core.journey import Journey
from tracer.core.journeys import JOURNEY_DTYPE


def test_fields_are_the_columns() -> None:
    columns = set(JOURNEY_DTYPE.names or ()) - {"first_hop", "n_hops"}  # its hops, as values
    own = {field.name for field in fields(Journey)}
    assert columns <= own
    assert own - columns == {"journey", "hops"}
