"""Who answers ARP requests is named, and whether on behalf of others."""

import numpy as np
from scenarios.catalogue import make
from scenarios.elements import Chain, Link
from scenarios.special import arp_replies, arp_requests
from scenarios.traffic import MILLI
from scenarios.world import World

from tracer.core.enums import Kind
from tracer.correlate.join import join


def test_one_mac_that_answers_for_many_addresses_is_named() -> None:
    found = join(make("arp", 3, 0.3).batch)
    asked = np.flatnonzero(found.journeys["kind"] == Kind.ARP_REQUEST)
    texts = {found.reasons[n] for n in found.journeys["reason"][asked]}
    assert len(texts) == 6
    assert all("is at fa:16:3e:00:00:aa, a proxy or router: it answers for 5 other" in t
               for t in texts)  # fmt: skip


def test_the_owner_of_an_address_is_just_named() -> None:
    world = World(4)
    chain = Chain(world.point("tapA"), Link(), world.point("tapB"))
    asked = arp_requests(world, 0xFA163E000001, "10.0.0.5", "10.0.0.9", 5, 90 * MILLI)
    arrived = chain.cross(world, asked, 0)
    chain.cross(world, arp_replies(world, arrived, 0xFA163E0000AA), 1)
    found = join(world.finish("arp").batch)
    requests = np.flatnonzero(found.journeys["kind"] == Kind.ARP_REQUEST)
    assert len(requests) == 5
    texts = {found.reasons[n] for n in found.journeys["reason"][requests]}
    assert texts == {"10.0.0.9 is at fa:16:3e:00:00:aa"}
