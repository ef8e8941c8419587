"""Files of rules: whose they are by name, where they are found, what is wrong with them."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.core.errors import InputError
from tracer.sources.inputs import find_inputs
from tracer.sources.rules import read, read_rules, read_rules_folder
from tracer.sources.rules.read import scope_of

QROUTER = "qrouter-b6a86b9f-6cf4-4ec3-a57a-00ce3e49142d"
RULE = "-A POSTROUTING -s 10.0.0.1/32 -j SNAT --to-source 192.0.2.1\n"


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        (f"compute03-iptables-{QROUTER}.txt", ("compute03", QROUTER)),
        (f"iptables/{QROUTER}.txt", (None, QROUTER)),
        ("nft/blue.txt", (None, "blue")),
        ("node1-iptables-save.txt", ("node1", None)),
        ("iptables-nat.txt", (None, None)),
        ("host7_nft-ruleset_red.nft", ("host7", "red")),
        ("ruleset.txt", (None, None)),
        (f"{QROUTER}.rules", (None, QROUTER)),
    ],
)
def test_a_file_name_says_host_and_namespace(
    name: str, scope: tuple[str | None, str | None]
) -> None:
    assert scope_of(Path(name)) == scope


def test_a_recorded_folder(captures: Path) -> None:
    rules, warnings = read_rules_folder(captures / "fip-outbound")
    assert warnings == []
    assert {(rule.host, rule.netns) for rule in rules} == {("compute03", QROUTER)}
    assert [rule.action for rule in rules] == ["redirect", "dnat", "snat"]


def test_a_folder_without_names_for_them(tmp_path: Path) -> None:
    (tmp_path / "iptables").mkdir()
    (tmp_path / "iptables" / "blue.txt").write_text(RULE)
    (tmp_path / "iptables" / "README.md").write_text(RULE)
    (tmp_path / "node1-iptables.txt").write_text(RULE)
    (tmp_path / "iptables-of-nobody.txt").write_text("there were none\n")
    (tmp_path / "notes.txt").write_text(RULE)
    rules, warnings = read_rules_folder(tmp_path)
    assert {(rule.host, rule.netns, rule.capture) for rule in rules} == {
        (None, "blue", "blue.txt"),
        ("node1", None, "node1-iptables.txt"),
    }
    assert warnings == []


def test_rules_are_no_captures(captures: Path) -> None:
    found, warnings = find_inputs([captures / "walkthrough"], {})
    assert not any("iptables" in each.name for each in found)
    assert warnings == []


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    odd, none = tmp_path / "odd.txt", tmp_path / "none.txt"
    odd.write_text(RULE + "-A POSTROUTING -s 10.0.0.300 -j MASQUERADE\n")
    none.write_text("nothing of the kind\n")
    rules, (warning,) = read_rules(odd)
    assert len(rules) == 1
    assert (warning.kind, warning.count, warning.offset) == ("unparsed-rule", 1, len(RULE))
    assert [each.kind for each in read_rules(none)[1]] == ["no-rules"]
    with pytest.raises(InputError, match="cannot be read"):
        read_rules(tmp_path / "absent.txt")
    (tmp_path / "points.toml").write_text('[[rules]]\nfile = "absent.txt"\n')
    with pytest.raises(InputError, match="absent"):
        read_rules_folder(tmp_path)


def test_ways_without_end_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "_MOST_RULES", 1000)
    file = tmp_path / "iptables.txt"
    doubled = "".join(f"-A c{n} -p tcp -j c{n + 1}\n-A c{n} -j c{n + 1}\n" for n in range(25))
    file.write_text(f"-A POSTROUTING -j c0\n{doubled}")
    assert read_rules(file) == ([], [])  # none of a million ways leads to a translation
    file.write_text(f"-A POSTROUTING -j c0\n{doubled}-A c25 -j MASQUERADE\n")
    rules, (warning,) = read_rules(file)
    assert len(rules) == 1000
    assert warning.kind == "too-many-rules"


WORDS = st.sampled_from(
    ["-A", "POSTROUTING", "a", "-s", "!", "10.0.0.1/32", "-j", "SNAT", "DNAT", "--to-source", ":80",
     "10.0.0.9-10.0.0.1", "-m", "--dports", "1:", "[", "[unsupported", "revision]", '"', "#", "\\",
     "table", "ip", "nat", "{", "}", "chain", "type", "hook", "postrouting", ";", "snat", "to",
     "masquerade", "jump", "vmap", "ip saddr", "ip6 daddr", "tcp", "dport", "!=", "@s", "*nat",
     "\n", "é",
     "-999999999999999999999", "[::1]:99999", "oifname", "meta", "l4proto", "=", ",", "\x00"]
)  # fmt: skip


@given(st.lists(WORDS, max_size=40), st.booleans())
def test_whatever_it_holds_a_file_is_read(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], is_nft: bool
) -> None:
    text = " ".join(words).replace(" \n ", "\n")
    head = "table ip nat {\nchain c {\ntype nat hook postrouting priority 0;\n" if is_nft else ""
    file = tmp_path_factory.getbasetemp() / "any.txt"
    file.write_text(f"{head}{text}")
    rules, _ = read_rules(file)
    assert all(rule.chains and rule.action for rule in rules)


def test_compressed_rules(tmp_path: Path) -> None:
    stored = tmp_path / f"compute03-iptables-{QROUTER}.txt.gz"
    stored.write_bytes(gzip.compress(RULE.encode()))
    rules, warnings = read_rules_folder(tmp_path)
    assert [(rule.host, rule.netns, rule.action) for rule in rules] == [
        ("compute03", QROUTER, "snat")
    ]
    assert warnings == []
