"""A dataclass's fields are the columns: two forms, one schema."""

from dataclasses import fields
from typing import get_args

from tracer.core.observation import OBSERVATION_FIELDS, PLACE_FIELDS, Observation
from tracer.core.schema import BY_NAME

PYTHON = {"int": int, "bool": bool}  # every other kind is shown as text


def test_fields_are_the_columns_and_the_point() -> None:
    stored = set(BY_NAME) - {"point"}
    assert set(OBSERVATION_FIELDS) == stored | set(PLACE_FIELDS)
    assert len(OBSERVATION_FIELDS) == len(set(OBSERVATION_FIELDS))


def test_types_are_those_of_the_columns_or_none() -> None:
    for field in fields(Observation):
        column = BY_NAME.get(field.name)
        expected = str
        if column is not None and field.name != "capture":
            expected = PYTHON.get(column.kind, str)
        assert set(get_args(field.type)) == {expected, type(None)}, field.name


def test_unknown_is_none() -> None:
    assert all(getattr(Observation(), name) is None for name in OBSERVATION_FIELDS)
