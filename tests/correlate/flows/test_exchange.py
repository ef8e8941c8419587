"""Which question of a UDP flow an answer is to, where several are open."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scenarios.catalogue import make
from scenarios.elements import Link
from scenarios.places import EXTERNAL, FIXED, dvr, snat
from scenarios.scoring import score
from scenarios.traffic import MILLI, answer, datagrams
from scenarios.world import World

from tracer.core.journeys import JourneySet
from tracer.correlate.join import join


def named(found: JourneySet, packet: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """Return the packets of all answers, and the packets of the questions that they are to."""
    rows = found.hops["row"][found.journeys["first_hop"]]
    answers = np.flatnonzero(found.journeys["request"] >= 0)
    return packet[rows[answers]], packet[rows[found.journeys["request"][answers]]]


@pytest.mark.parametrize(("flows", "served_ms"), [(1, 3), (1, 25), (5, 25), (5, 100)])
def test_answers_in_order_are_to_questions_in_order(flows: int, served_ms: int) -> None:
    # Several questions are open at any time; the server takes equally long for each.
    world = World(served_ms)
    chain = dvr(world, snat(world))
    sent = datagrams(world, FIXED, EXTERNAL, 100, gap_ns=2 * MILLI, flows=flows)
    arrived = world.run(chain, sent)
    replies = answer(world, arrived)
    replies.meta["true_ns"] = arrived.meta["true_ns"] + served_ms * MILLI
    world.run(chain, replies, 1)
    scenario = world.finish("in_order")
    answers, questions = named(join(scenario.batch), scenario.truth.packet)
    assert len(answers) == 100
    assert (scenario.truth.reply_of[answers] == questions).all()


def test_no_answer_overtakes_another_where_some_questions_are_lost() -> None:
    world = World(4)
    chain = dvr(world, snat(world), Link(150_000, 20_000, loss=0.1))
    sent = datagrams(world, FIXED, EXTERNAL, 100, gap_ns=2 * MILLI)
    arrived = world.run(chain, sent)
    replies = answer(world, arrived)
    replies.meta["true_ns"] = arrived.meta["true_ns"] + 15 * MILLI
    world.run(chain, replies, 1)
    scenario = world.finish("some_lost")
    answers, questions = named(join(scenario.batch), scenario.truth.packet)
    assert len(answers) > 80
    assert (np.diff(questions[np.argsort(answers)]) > 0).all()


def test_no_answer_is_to_a_question_that_came_later() -> None:
    # One question was missed where it ended; its answer came before the next question did.
    scenario = make("adverse_5", seed=1, scale=0.5)
    found = score(scenario, join(scenario.batch, scenario.conntrack))
    assert found.replies_wrong == 0
    assert found.replies_found == 1
