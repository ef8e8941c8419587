"""Expected paths from a topology snapshot, and how the observed ones differ. Pure."""
