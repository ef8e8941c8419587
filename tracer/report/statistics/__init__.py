"""Figures of a whole journey set: per place, segment, flow, translation and stretch of time."""
