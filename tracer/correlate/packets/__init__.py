"""What tells packets apart, whatever forwards or translates them: the identity of a row."""
