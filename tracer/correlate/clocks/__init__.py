"""Which captures share a clock, and what the others are off by."""
