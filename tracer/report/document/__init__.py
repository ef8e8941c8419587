"""The incident report: one HTML file that holds everything, and the same figures as JSON."""
