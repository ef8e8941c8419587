"""Simulated networks with known truth: what a correlator is measured against."""
