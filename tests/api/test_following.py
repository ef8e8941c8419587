"""What `tracer.follow` refuses before it asks the kernel; kernel/test_follow_api.py has more."""

import subprocess
import sys

import pytest

import tracer


def test_what_is_wrong_is_said_before_anything_is_attached() -> None:
    with pytest.raises(tracer.InputError, match=r"does not end in .parquet"):
        tracer.follow(write="journeys.txt")
    with pytest.raises(tracer.InputError, match="is not an IP address"):
        tracer.follow(host="10.0.0")


def test_an_engine_there_is_not() -> None:
    with pytest.raises(tracer.TracerError, match="no engine 'fast'"):
        next(tracer.follow(engine="fast"))


def test_nothing_is_attached_or_imported_until_it_is_entered() -> None:
    code = (
        "import sys, tracer\n"
        "journeys = tracer.follow(icmp_id=1)\n"
        "assert not {'tracer.sources.live.session', 'bcc', 'click'} & set(sys.modules)\n"
        "journeys.stop(); journeys.close()\n"
        "assert journeys.exit_status is None\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_that_was_never_attached_has_counted_nothing() -> None:
    journeys = tracer.follow(icmp_id=1)
    with pytest.raises(tracer.TracerError, match="not attached yet"):
        journeys.summary  # noqa: B018 -- reading it is the test
