"""Where programs attach: for each hook the programs that can serve it, cheapest first."""

from dataclasses import dataclass
from pathlib import Path

from tracer.sources.live.event_layout import Hook
from tracer.sources.live.syscalls import has_kprobes


@dataclass(frozen=True, slots=True)
class Choice:
    """One program at one place: how it attaches is tp_btf, raw_tp, kprobe or kretprobe.

    `module` is the kernel module that the place is in, where it is in one.
    """

    program: str
    kind: str
    target: str
    module: str | None = None


def is_loadable(choice: Choice) -> bool:
    """Return whether a program can be loaded here: a kprobe only where the kernel has them."""
    return not choice.kind.startswith("k") or has_kprobes()


def absent_module(hook: Hook) -> str | None:
    """Return the kernel module that a hook needs and that is not loaded, None when nothing is."""
    modules = {choice.module for choices in POINTS[hook] for choice in choices if choice.module}
    return next((name for name in sorted(modules) if not Path("/sys/module", name).exists()), None)


_OVS = "openvswitch"


def _ovs(program: str, target: str) -> tuple[tuple[Choice, ...], ...]:
    return ((Choice(program, "kprobe", target, _OVS),),)


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
    Hook.OVS_RECEIVE: _ovs("ovs_receive", "ovs_vport_receive"),
    Hook.OVS_PROCESS: _ovs("ovs_process", "ovs_dp_process_packet"),
    Hook.OVS_UPCALL: _ovs("ovs_upcall", "ovs_dp_upcall"),
    Hook.OVS_SEND: _ovs("ovs_send", "ovs_vport_send"),
    Hook.VLAN_RECEIVE: (
        (
            Choice("vlan_return", "kretprobe", "vlan_do_receive"),  # built in, never in a module
            Choice("vlan_entry", "kprobe", "vlan_do_receive"),
        ),
    ),
    # Only where there are no netfilter programs (`nat_links`).
    Hook.NAT: (
        (
            Choice("after_kprobe", "kretprobe", "nf_nat_manip_pkt", "nf_nat"),
            Choice("before_kprobe", "kprobe", "nf_nat_manip_pkt", "nf_nat"),
        ),
    ),
}
