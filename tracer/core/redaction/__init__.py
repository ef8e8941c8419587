"""Pseudonyms instead of addresses and names, the same for the same key, so reports can be shared.

What is kept: which addresses share a prefix, which names are one, all times, lengths and numbers.
"""
