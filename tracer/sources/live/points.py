"""Where programs attach: for each hook the programs that can serve it, cheapest first."""

from dataclasses import dataclass

from tracer.sources.live.event_layout import Hook


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to serve a hook: program name, how it attaches (tp_btf, raw_tp, kprobe, kretprobe), to what."""

    program: str
    kind: str
    target: str


def _tracepoint(name: str, target: str) -> tuple[tuple[Choice, ...], ...]:
    return (
        (Choice(f"{name}_typed", "tp_btf", target),),
        (Choice(f"{name}_raw", "raw_tp", target),),
    )


#: For each hook, alternatives; each alternative is all the programs it needs.
POINTS: dict[Hook, tuple[tuple[Choice, ...], ...]] = {
    Hook.RECEIVE: _tracepoint("receive", "netif_receive_skb"),
    Hook.XMIT: _tracepoint("xmit", "net_dev_start_xmit"),
    Hook.QUEUE: _tracepoint("queue", "net_dev_queue"),
    Hook.KFREE: _tracepoint("kfree", "kfree_skb"),
    Hook.CONSUME: _tracepoint("consume", "consume_skb"),
    Hook.ROUTE: (
        (
            Choice("route4_raw", "raw_tp", "fib_table_lookup"),
            Choice("route6_raw", "raw_tp", "fib6_table_lookup"),
        ),
    ),
}
