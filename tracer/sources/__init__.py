"""Where observations come from: captures, tcpdump text, conntrack dumps, the live kernel."""
