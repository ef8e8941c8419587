"""Devices that have packets from another one, not from a driver, on Debian kernels 6.1 and 6.12.

The network and its traffic are those of upper.py; tcpdump at the devices judges.
"""

import re
from collections import Counter

import pytest
from guests import ENGINES, Guest
from test_kernels import echoes, journeys, places
from upper import KINDS, SENT, icmp_id

pytestmark = [pytest.mark.matrix, pytest.mark.kernel]
ECHO = re.compile(r"ICMP echo (request|reply), id (\d+), seq (\d+)")


def way_in(number: int) -> list[str]:
    """Where a request is seen."""
    _, netns, device = KINDS[number]
    return [f"far/f{number}>", f">low/l{number}", f">{netns}/{device}"]


def way_out(number: int) -> list[str]:
    """Where a reply is seen: what lies on a device sends by it."""
    kind, netns, device = KINDS[number]
    between = [f">low/h{number}"] if kind == "peer" else []
    return [f"{netns}/{device}>", *between, f"low/l{number}>", f">far/f{number}"]


@pytest.mark.parametrize("number", KINDS)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_packet_is_delivered_where_it_is_received(guest: Guest, engine: str, number: int) -> None:
    found = journeys(guest, engine)
    by_number = {j["journey"]: j for j in found}
    requests = echoes(found, "echo-request", icmp_id(number))
    assert len(requests) == SENT
    for request in requests:
        assert places(request) == way_in(number)
        assert {hop["join"]["evidence"] for hop in request["hops"][1:]} == {"skb"}
        _, netns, device = KINDS[number]
        assert (request["outcome"], request["outcome_at"]) == (
            "delivered",
            f"guest/{netns}/{device}",
        )
        reply = by_number[request["reply"]]
        assert (reply["outcome"], places(reply)) == ("delivered", way_out(number))


@pytest.mark.parametrize("number", KINDS)
@pytest.mark.parametrize("engine", ENGINES)
def test_tcpdump_sees_the_same_there(guest: Guest, engine: str, number: int) -> None:
    kind_of_device, netns, device = KINDS[number]
    dumped = Counter(
        (kind, int(seq))
        for kind, identifier, seq in ECHO.findall(guest.text(f"tcpdump-{device}.txt"))
        if int(identifier) == icmp_id(number)
    )
    seen = Counter(
        (journey["kind"].removeprefix("echo-"), hop["icmp_seq"])
        for kind in ("echo-request", "echo-reply")
        for journey in echoes(journeys(guest, engine), kind, icmp_id(number))
        for hop in journey["hops"]
        if (hop["netns"], hop["device"]) == (netns, device)
    )
    assert seen.total() == 2 * SENT
    if kind_of_device.endswith("l3s"):  # sockets have what comes in, and sniffers do not
        seen = Counter({key: count for key, count in seen.items() if key[0] == "reply"})
    assert seen == dumped


def test_every_place_is_found(guest: Guest) -> None:
    for points in (guest.facts["late"]["points"], guest.facts["bcc"]["points"]):
        found = {point.split("/")[1] for point in points}
        handlers = {f"{name}_handle_frame" for name in ("macvlan", "ipvlan", "bond", "team")}
        assert found >= {"vlan_do_receive", "skb_do_redirect", "ipvlan_nf_input", *handlers}
