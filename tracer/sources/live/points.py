"""Where programs attach: for each hook its places, and ways to look into each, cheapest first."""

from dataclasses import dataclass
from pathlib import Path

from tracer.sources.live import btf
from tracer.sources.live.event_layout import Hook
from tracer.sources.live.syscalls import has_kprobes


@dataclass(frozen=True, slots=True)
class Choice:
    """One program at one function or tracepoint.

    How it attaches is tp_btf, raw_tp, fexit, kprobe or kretprobe. `module` is the kernel module
    that the function is in, where it is in one.
    """

    program: str
    kind: str
    target: str
    module: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a hook looks into the kernel: `ways`, each of which is all the programs it needs."""

    hook: Hook
    ways: tuple[tuple[Choice, ...], ...]
    name: str

    @property
    def absent_module(self) -> str | None:
        """The kernel module that it needs and that is not loaded, None when nothing is."""
        modules = {choice.module for way in self.ways for choice in way if choice.module}
        return next(
            (name for name in sorted(modules) if not Path("/sys/module", name).exists()), None
        )


def is_loadable(choice: Choice) -> bool:
    """Return whether a program can be loaded here.

    A kprobe only where the kernel has them, an fexit only at a function of the kernel itself: those
    of modules may come later, and have types of their own.
    """
    if choice.kind == "fexit":
        return choice.target in btf.known(_TYPED_FUNCTIONS)
    return not choice.kind.startswith("k") or has_kprobes()


_OVS = "openvswitch"
_ICMP, _ICMPV6 = "nf_nat_icmp_reply_translation", "nf_nat_icmpv6_reply_translation"


def _ovs(hook: Hook, program: str, target: str) -> Place:
    return Place(hook, ((Choice(program, "kprobe", target, _OVS),),), hook.name.lower())


def _nat(target: str, what: str = "") -> tuple[Choice, Choice]:
    return (
        Choice("after_kprobe", "kretprobe", target, "nf_nat"),
        Choice(f"before_{what}kprobe", "kprobe", target, "nf_nat"),
    )


def _tracepoint(hook: Hook, name: str, target: str) -> Place:
    typed, raw = Choice(f"{name}_typed", "tp_btf", target), Choice(f"{name}_raw", "raw_tp", target)
    return Place(hook, ((typed,), (raw,)), hook.name.lower())


def _upper(name: str, target: str, module: str | None, at_return: str = "upper_return") -> Place:
    probes = (
        Choice(at_return, "kretprobe", target, module),
        Choice("upper_entry", "kprobe", target, module),
    )
    typed = Choice(f"{name}_typed", "fexit", target)
    return Place(Hook.UPPER_RECEIVE, ((typed,), probes), f"{name}_receive")


PLACES: tuple[Place, ...] = (
    _tracepoint(Hook.RECEIVE, "receive", "netif_receive_skb"),
    _tracepoint(Hook.XMIT, "xmit", "net_dev_start_xmit"),
    _tracepoint(Hook.QUEUE, "queue", "net_dev_queue"),
    _tracepoint(Hook.KFREE, "kfree", "kfree_skb"),
    _tracepoint(Hook.CONSUME, "consume", "consume_skb"),
    Place(
        Hook.ROUTE,
        (
            (
                Choice("route4_raw", "raw_tp", "fib_table_lookup"),
                Choice("route6_raw", "raw_tp", "fib6_table_lookup"),
            ),
        ),
        "route",
    ),
    # Only where there are no netfilter programs (`nat_links`).
    Place(
        Hook.NAT,
        (
            (*_nat("nf_nat_manip_pkt"), *_nat(_ICMP, "icmp_"), *_nat(_ICMPV6, "icmp_")),
            (*_nat("nf_nat_manip_pkt"), *_nat(_ICMP, "icmp_")),  # kernels without IPv6
        ),
        "nat",
    ),
    _ovs(Hook.OVS_RECEIVE, "ovs_receive", "ovs_vport_receive"),
    _ovs(Hook.OVS_PROCESS, "ovs_process", "ovs_dp_process_packet"),
    _ovs(Hook.OVS_UPCALL, "ovs_upcall", "ovs_dp_upcall"),
    _ovs(Hook.OVS_SEND, "ovs_send", "ovs_vport_send"),
    _upper("vlan", "vlan_do_receive", None),  # built in, never in a module
    _upper("macvlan", "macvlan_handle_frame", "macvlan"),
    _upper("ipvlan", "ipvlan_handle_frame", "ipvlan"),
    Place(
        Hook.UPPER_RECEIVE,
        (
            (
                Choice("input_return", "kretprobe", "ipvlan_nf_input", "ipvlan"),
                Choice("input_entry", "kprobe", "ipvlan_nf_input", "ipvlan"),
            ),
        ),
        "ipvlan_l3s_receive",
    ),
    _upper("bond", "bond_handle_frame", "bonding"),
    _upper("team", "team_handle_frame", "team"),
    _upper("peer", "skb_do_redirect", None, "peer_return"),
)


def choices() -> list[Choice]:
    """Return every program at every place."""
    return [choice for place in PLACES for way in place.ways for choice in way]


#: Programs at functions of the kernel itself, of which some kernels let none be loaded.
UPPER_TYPED = frozenset(choice.program for choice in choices() if choice.kind == "fexit")
_TYPED_FUNCTIONS = tuple(choice.target for choice in choices() if choice.kind == "fexit")


def netfilter_programs() -> tuple[str, ...]:
    """Return the programs for netfilter links (`nat_links`).

    One more where no kprobe is to be had, for devices that nothing else may see.
    """
    more = () if has_kprobes() else ("upper_netfilter",)
    return ("before_netfilter", "after_netfilter", *more)
