"""Recorded NAT rules: iptables-save, `iptables -t nat -S` and `nft list ruleset` to values."""

from tracer.sources.rules.read import read_rules, read_rules_folder

__all__ = ["read_rules", "read_rules_folder"]
