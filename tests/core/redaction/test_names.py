"""Pseudonyms of names: kinds stay, and so does what a UUID shares with its start."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.core.address import decode_mac
from tracer.core.redaction.addresses import AddressPseudonyms
from tracer.core.redaction.names import NamePseudonyms

KEY = b"names"
NAMES = NamePseudonyms(KEY, AddressPseudonyms(KEY).mac)
ROUTER = "b6a86b9f-6cf4-4ec3-a57a-00ce3e49142d"


def test_a_router_is_one_in_all_its_names() -> None:
    router = NAMES.place(f"qrouter-{ROUTER}").removeprefix("qrouter-")
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", router)
    assert router != ROUTER
    assert NAMES.place(f"snat-{ROUTER}") == f"snat-{router}"
    assert NAMES.device(f"rfp-{ROUTER[:10]}") == f"rfp-{router[:10]}"
    assert NAMES.device(f"fpr-{ROUTER[:10]}") == f"fpr-{router[:10]}"


@given(st.uuids(), st.integers(1, 36))
def test_the_start_of_a_uuid_is_the_start_of_its_pseudonym(uuid: object, length: int) -> None:
    assert NAMES.identifier(str(uuid)).startswith(NAMES.identifier(str(uuid)[:length]))


def test_a_port_is_one_in_all_its_devices() -> None:
    port = "2d90b7c4-8e"
    pseudonyms = {NAMES.device(kind + port)[3:] for kind in ("tap", "qvo", "qvb", "qbr", "qr-")}
    assert len(pseudonyms) == 1
    assert port not in pseudonyms
    assert NAMES.device(f"tap{port}").startswith("tap")


@pytest.mark.parametrize(
    "name", ["lo", "eth0", "ens3", "enp175s0f1", "bond0", "br-int", "vxlan_sys_4789", "enp4s0.1299"]
)
def test_devices_any_host_has_stay(name: str) -> None:
    assert NAMES.device(name) == name


@pytest.mark.parametrize("name", ["te1", "br-acme", "acme0", "to-paris.7", "eth0.acme", "enacme"])
def test_devices_that_somebody_named_do_not(name: str) -> None:
    pseudonym = NAMES.device(name)
    assert re.fullmatch(r"dev-[0-9a-f]{8}(\.7)?", pseudonym)
    assert len(pseudonym) <= 15  # what the kernel takes


def test_a_device_named_after_a_mac_follows_it() -> None:
    mac = decode_mac(AddressPseudonyms(KEY).mac(0x001E080EBC45)) or ""
    assert NAMES.device("enx001e080ebc45") == "enx" + mac.replace(":", "")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("compute03", "compute"), ("vm", "vm"), ("vm-acme", "vm"), ("network01", "network"),
     ("computeracme", "name"), ("acme-compute03", "name"), ("blue", "name")],
)  # fmt: skip
def test_hosts_keep_what_they_are_for(name: str, kind: str) -> None:
    assert re.fullmatch(rf"{kind}-[0-9a-f]{{8}}", NAMES.place(name))


def test_captures_keep_their_kind() -> None:
    name = NAMES.capture("acme/compute03-qr-1f6b0aa3-3d.pcap.gz")
    assert re.fullmatch(r"folder-[0-9a-f]{8}/capture-[0-9a-f]{8}\.pcap\.gz", name)
    assert NAMES.capture("compute03#4") == NAMES.capture("compute03") + "#4"
    assert NAMES.capture("a.pcap")[:16] == NAMES.capture("a")
    assert NAMES.capture("-") == "-"
