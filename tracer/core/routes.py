"""What a routing decision that failed is called."""

# Negative errno of a lookup, as the kernel gives it for types of routes (fib_props) and for none.
_WORDS = {
    -101: "network unreachable",  # ENETUNREACH
    -113: "host unreachable",  # EHOSTUNREACH
    -13: "prohibited",  # EACCES
    -22: "blackhole",  # EINVAL
    -11: "no route",  # EAGAIN: throw, or no rule had another table to ask
}


def route_error_words(error: int) -> str:
    """Return the words for a failed lookup, given its negative errno (column `route_error`)."""
    return _WORDS.get(error, "no route")
