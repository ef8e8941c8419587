"""What entries of conntrack prove of tuples, and at which times."""
