"""Observation batches in, journeys out. Pure: no I/O, no clock, no randomness."""
