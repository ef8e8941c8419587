"""The options both engines compile or write into the programs, computed once."""

from tracer.sources.live.engine import Config
from tracer.sources.live.engine_base import round_up, snap_bytes
from tracer.sources.live.event_layout import Hook
from tracer.sources.live.filter import protocol_mask


def scalar_options(config: Config) -> dict[str, tuple[int, int]]:
    """Return (value, size in bytes) of each `opt_` variable of the programs."""
    return {
        "opt_match_all": (int(config.filter.is_empty), 1),
        "opt_tunnels": (int(config.tunnels), 1),
        "opt_route": (int(Hook.ROUTE in config.hooks), 1),
        "opt_headers": (int(config.headers_only), 1),
        "opt_snap": (snap_bytes(config), 4),
        "opt_tracked_mask": (round_up(config.tracked, 16) - 1, 4),
        "opt_protocols": (protocol_mask(config.filter, config.tunnels), 8),
    }


def map_sizes(config: Config) -> dict[str, int]:
    """Return the number of entries of the maps whose size is an option (the ring's in bytes)."""
    return {
        "events": round_up(config.ring_bytes, 4096),
        "followed": round_up(config.followed, 1024),
        "tracked": round_up(config.tracked, 16),
    }
