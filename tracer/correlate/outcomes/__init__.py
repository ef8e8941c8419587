"""How journeys ended, and why."""
