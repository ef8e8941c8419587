"""Journeys for people and programs: text, tables, documents. Returns values, prints nothing."""
