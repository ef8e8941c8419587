"""Chains of a ruleset, followed from the hooks to the rules that translate."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from tracer.core.nat_rules.rule import Condition, NatRule, Network, Range

_DEEPEST = 32  # the kernel itself stops at 16 jumps (NFT_JUMP_STACK_SIZE)


@dataclass(slots=True)
class Line:
    """One rule of a chain: what it asks for, and either a translation or jumps to other chains."""

    text: str
    conditions: tuple[Condition, ...] = ()
    is_open: bool = False
    action: str | None = None
    to: tuple[Network, ...] = ()
    to_ports: Range | None = None
    jumps: tuple[str, ...] = ()


@dataclass(slots=True)
class Chains:
    """The chains of one table; `hooks` maps a base chain to its hook."""

    hooks: dict[str, str] = field(default_factory=dict)
    lines: dict[str, list[Line]] = field(default_factory=dict)

    def rules(self) -> Iterator[NatRule]:
        """Yield the rules that translate, each way to them, in the order the kernel asks them."""
        leading = self._leading()
        for base, hook in self.hooks.items():
            yield from self._below(base, hook, (base,), (), leading, is_open=False)

    def _leading(self) -> set[str]:
        # Chains from which a translation can be reached: no way into others need be followed.
        found = {name for name, lines in self.lines.items() if any(line.action for line in lines)}
        jumps = {
            name: {target for line in lines for target in line.jumps}
            for name, lines in self.lines.items()
        }
        while more := {name for name, targets in jumps.items() if targets & found} - found:
            found |= more
        return found

    def _below(
        self, chain: str, hook: str, way: tuple[str, ...], asked: tuple[Condition, ...],
        leading: set[str], *, is_open: bool,
    ) -> Iterator[NatRule]:  # fmt: skip
        for line in self.lines.get(chain, ()):
            conditions, open_ = (*asked, *line.conditions), is_open or line.is_open
            if line.action:
                is_late = hook in ("postrouting", "input")
                action = {"netmap": "snat" if is_late else "dnat"}.get(line.action, line.action)
                yield NatRule(
                    hook, way, action, line.text, conditions, line.to, line.to_ports, open_
                )
            for target in line.jumps:
                if target in leading and target not in way and len(way) < _DEEPEST:
                    yield from self._below(
                        target, hook, (*way, target), conditions, leading, is_open=open_
                    )
