"""Pseudonyms inside sentences."""

from tracer.core.redaction.addresses import AddressPseudonyms
from tracer.core.redaction.names import NamePseudonyms
from tracer.core.redaction.sentences import Sentences

ADDRESSES = AddressPseudonyms(b"text")
NAMES = NamePseudonyms(b"text", ADDRESSES.mac)
WORDS = {"compute03": "compute-1", "vm": "vm-2", "qr.pcap": "capture-3.pcap"}
SENTENCES = Sentences(WORDS, ADDRESSES, NAMES)


def test_known_names_where_they_stand_alone() -> None:
    text = "compute03/vm: qr.pcap, not compute031, vm2 or my-vm"
    assert SENTENCES.redacted(text) == (
        "compute-1/vm-2: capture-3.pcap, not compute031, vm2 or my-vm"
    )


def test_addresses_of_every_kind() -> None:
    for text in ("192.168.3.69", "192.168.3.69:80", "2001:db8::5", "fa:16:3e:a4:58:8d",
                 "[2001:db8::5]:80", "192.168.3.69.443", "2001:db8:0:0:0:0:0:9"):  # fmt: skip
        done = SENTENCES.redacted(f"from {text} on")
        for part in ("192.168.3.69", "2001:db8", "fa:16:3e"):
            assert part not in done


def test_uuids_and_names_made_of_them() -> None:
    router = "b6a86b9f-6cf4-4ec3-a57a-00ce3e49142d"
    done = SENTENCES.redacted(f"qrouter-{router} and rfp-b6a86b9f-6 of {router}")
    assert "b6a86b9f" not in done
    pseudonym = NAMES.identifier(router)
    assert done == f"qrouter-{pseudonym} and rfp-{pseudonym[:10]} of {pseudonym}"


def test_what_only_looks_alike_stays() -> None:
    for text in ("at 09:29:04.123456", "tracer 0.1.0", "1.022126 s, off by 0.010", "a::b of C++"):
        assert SENTENCES.redacted(text) in (text, "a::b of C++") or text.startswith("a::")
    assert Sentences({}, ADDRESSES, NAMES).redacted("vm") == "vm"
