"""Journeys as one pcapng file: each hop a packet that says in a comment where it belongs."""
