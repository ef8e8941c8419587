"""Shows every hop one packet takes through a Linux host."""

__version__ = "0.1.0"
