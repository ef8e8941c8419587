"""Paths of flows in captures that share no packet."""
