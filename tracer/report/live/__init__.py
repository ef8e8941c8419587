"""What a live view shows: counters of paths that take journeys as they come, and their lines."""
