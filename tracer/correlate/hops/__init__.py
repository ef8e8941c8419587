"""The hops of journeys: where each came from, what changed, and how sure its join is."""
