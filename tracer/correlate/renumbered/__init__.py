"""TCP whose numbers something on the way shifts: found, and put into one numbering."""
