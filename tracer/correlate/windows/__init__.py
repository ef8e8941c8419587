"""Joins of a part of the packets at a time: large captures, and live."""
