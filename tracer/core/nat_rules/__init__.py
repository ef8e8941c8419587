"""Recorded NAT rules, and which of them may have done a translation that was seen."""
