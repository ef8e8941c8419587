"""A hop's fields are the columns of HOP_DTYPE, besides what it holds as values."""

from dataclasses import fields

from tracer.core.hop import Hop, Join
from tracer.core.journeys import HOP_DTYPE


def test_fields_are_the_columns() -> None:
    columns = set(HOP_DTYPE.names or ())
    held = columns - {"journey", "row"}  # the journey that holds it; its observation
    own = {field.name for field in fields(Hop)}
    of_join = {field.name for field in fields(Join)}
    assert held <= own | of_join
    assert own - columns == {"observation", "changes", "join", "called"}  # the last is the point's
    assert of_join <= columns
