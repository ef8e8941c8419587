"""Which rows are one packet: the rows of each journey."""
