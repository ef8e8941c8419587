"""In which order packets pass links, and which ways they take, told from those beyond doubt."""
