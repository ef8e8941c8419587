"""Which streams are one direction of one flow, before and after a translation."""
