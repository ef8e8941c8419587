"""Finds namespaces, devices, routes and rules of a host, and keeps them as snapshots."""
