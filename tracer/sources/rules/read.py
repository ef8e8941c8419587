"""Files of recorded NAT rules: found in a folder, told from their text, scoped by their names."""

import os
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from tracer.core.nat_rules.rule import NatRule
from tracer.core.warnings import InputWarning
from tracer.sources.compression import decompressed
from tracer.sources.documents import text_of, utf8
from tracer.sources.findings import Findings
from tracer.sources.named_dumps import Dump, dumps_in, not_read
from tracer.sources.rules.chains import Chains
from tracer.sources.rules.iptables import read_iptables
from tracer.sources.rules.nftables import read_nftables
from tracer.sources.rules.noise import unread_iptables, unread_nftables

_KIND = r"(?:ip6?tables|nft|nftables|nat[-_]?rules|ruleset)"
_NAMED = re.compile(
    rf"^(?:(?P<host>.+?)[-_.])??{_KIND}(?:[-_.](?:save|nat|list|ruleset|rules|S))*"
    r"(?:[-_.](?P<netns>.+))?$"
)
_FOLDER = re.compile(rf"^{_KIND}(?:[-_](?:save|nat|rules))?$")
_SUFFIX = re.compile(r"(?:\.(?:txt|log|out|dump|rules|v4|v6|nft|gz|xz|zst))+$")
_NEUTRON = re.compile(r"(?:qrouter|snat|fip|qdhcp)-[0-9a-f]{8}[0-9a-f-]*")
_NFT = re.compile(r"(?m)^\s*table +(?:\w+ +)?\S+ +\{")
_IPTABLES = re.compile(r"(?m)^(?:\[\d+:\d+\] +)?(?:-[APN] +\S|\*\w+$|:\S+ +\S+ +\[)")
_MOST_RULES = 100_000
_LARGEST = 64 << 20  # bytes of a file that is looked at

Scope = tuple[str | None, str | None]  # host, netns; None is not known
Found = tuple[list[NatRule], list[InputWarning]]


def read_rules(path: Path, host: str | None = None, netns: str | None = None) -> Found:
    """Return the rules of a file that translate, in the order the kernel asks them, and warnings.

    A host or namespace not given comes from a name such as `compute03-iptables-qrouter-….txt`.
    Raises InputError when the file cannot be read.
    """
    findings = Findings(path.name)
    text = text_of(path, findings, _LARGEST).decode("utf-8", "replace")
    named = scope_of(path)
    host, netns = host or named[0], netns or named[1]
    tables, odd = _tables(text)
    every = (rule.at(host, netns, path.name) for table in tables for rule in table.rules())
    rules = list(islice(every, _MOST_RULES))
    warnings = [*findings.warnings(), *_warnings(path.name, text, odd)]
    if next(every, None) is not None:
        message = f"there are more than {_MOST_RULES} ways to its rules; the rest was not followed"
        warnings.append(InputWarning("too-many-rules", message, path.name, 0, 1))
    return rules, warnings


def read_rules_folder(folder: Path) -> Found:
    """Return the rules of all files in a folder and its subfolders that hold some, and warnings.

    Those `[[rules]]` of a points.toml names (`file`, `host`, `netns`), else files whose name, or
    whose folder's, says iptables or nft. Raises InputError when a named file is unusable.
    """
    rules: list[NatRule] = []
    warnings: list[InputWarning] = []
    for path, host, netns in rules_files(folder):
        if refusal := not_read(path, "rules"):
            warnings.append(refusal)
            continue
        some, wrong = read_rules(path, host, netns)
        rules += some
        warnings += wrong
    return rules, warnings


def rules_files(folder: Path) -> list[Dump]:
    """Return (file, host, netns) of the files in a folder that `read_rules_folder` reads."""
    return list(dumps_in(folder, "rules", _may_hold_rules))


def scope_of(path: Path) -> Scope:
    """Return (host, netns) that a file's name says, None for what it does not.

    In a folder that is called `iptables` or the like, its name is the namespace's.
    """
    stem = _SUFFIX.sub("", path.name)
    neutron = _NEUTRON.search(stem)
    match = _NAMED.search(stem)
    if match is not None:
        return match["host"], neutron[0] if neutron else match["netns"]
    if _FOLDER.match(path.parent.name):
        return None, neutron[0] if neutron else stem or None
    return None, neutron[0] if neutron else None


def _may_hold_rules(path: Path) -> bool:
    by_name = _NAMED.search(_SUFFIX.sub("", path.name)) or _FOLDER.match(path.parent.name)
    return bool(by_name) and os.path.isfile(path) and path.suffix != ".md" and _holds_rules(path)


def _holds_rules(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(1 << 16)
    except OSError:
        return False
    start = decompressed(start, Findings(path.name), 1 << 16)  # its end is cut, which is no damage
    start = utf8(start)
    text = start.decode("utf-8", "replace")
    return b"\0" not in start and bool(_NFT.search(text) or _IPTABLES.search(text))


def _tables(text: str) -> tuple[list[Chains], list[str]]:
    if _NFT.search(text):
        return read_nftables(text.splitlines())
    table, odd = read_iptables(text.splitlines())
    return [table], odd


def _warnings(name: str, text: str, odd: list[str]) -> Iterator[InputWarning]:
    is_nft = _NFT.search(text)
    if text.strip() and not is_nft and not _IPTABLES.search(text):
        yield InputWarning("no-rules", "it holds no rules of iptables or nft", name, 0, 1)
        return
    lines = text.splitlines(keepends=True)
    if odd:
        at = next((at for at, line in enumerate(lines) if odd[0][:100] in line), 0)
        what = "rules that could not be understood were passed over"
        yield _of_lines("unparsed-rule", what, name, lines, at, len(odd))
    unread, is_cut = unread_nftables(lines) if is_nft else (unread_iptables(lines), False)
    if unread:
        what = f"lines that {'nft' if is_nft else 'iptables'} does not print were passed over"
        yield _of_lines("unread-line", what, name, lines, unread[0], len(unread))
    if is_cut:
        yield InputWarning("truncated-rules", "it ends within a table of rules", name, len(text))


def _of_lines(
    kind: str, what: str, name: str, lines: Sequence[str], first: int, count: int
) -> InputWarning:
    message = f"{what}; the first is line {first + 1}: {lines[first].strip()[:100]}"
    offset = sum(len(line.encode("utf-8", "replace")) for line in lines[:first])
    return InputWarning(kind, message, name, offset, count)
