"""Known traffic between two points of the lab: ICMP, TCP, UDP, and the sender's own log of it."""
