"""What is documented is what the frames have."""

import pandas as pd
import pytest

import tracer
from tracer.api.columns import FRAMES, documented, markdown_table


def frame_of(frames: tracer.JourneyFrames, name: str) -> pd.DataFrame:
    found = frames.path() if name == "path" else getattr(frames, name)
    assert isinstance(found, pd.DataFrame)
    return found


@pytest.mark.parametrize("incident", ["outbound", "tunnelled", "walkthrough"])
@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_has_its_documented_columns_in_their_dtypes(
    name: str, incident: str, request: pytest.FixtureRequest
) -> None:
    found = frame_of(request.getfixturevalue(incident), name)
    assert list(found.columns) == [column.name for column in FRAMES[name]]
    assert [str(dtype) for dtype in found.dtypes] == [column.dtype for column in FRAMES[name]]


@pytest.mark.parametrize("name", FRAMES)
def test_no_packets_give_the_same_columns(name: str) -> None:
    from tracer.core.batch import ObservationBatch
    from tracer.core.journeys import JourneySet

    found = frame_of(tracer.JourneyFrames.of(JourneySet(ObservationBatch())), name)
    assert len(found) == 0
    assert [str(dtype) for dtype in found.dtypes] == [column.dtype for column in FRAMES[name]]


@pytest.mark.parametrize("name", FRAMES)
def test_the_docstring_has_the_table_of_columns(name: str) -> None:
    attribute = vars(tracer.JourneyFrames)[name]
    text = attribute.__doc__ or attribute.func.__doc__
    assert markdown_table(FRAMES[name]) in text
    assert text.splitlines()[0].endswith(".") or "\n" in text


def test_no_column_is_named_twice() -> None:
    for columns in FRAMES.values():
        names = [column.name for column in columns]
        assert len(set(names)) == len(names)


def test_documenting_keeps_what_was_said() -> None:
    def named() -> None:
        """Say something."""

    text = documented("clocks")(named).__doc__ or ""
    assert text.startswith("Say something.\n\n| column |")
