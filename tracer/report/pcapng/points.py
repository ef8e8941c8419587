"""Observation points as pcapng interfaces: names that the reader of captures understands."""

from tracer.core.point import Point

Key = tuple[Point, int]  # the point without its direction (each packet says its own), link type


def interface_name(point: Point) -> str:
    """Return DEVICE, HOST/DEVICE or HOST/NETNS/DEVICE (as `--point` takes them), else the capture.

    An unknown host before a namespace is empty; a hook stands in brackets, behind the device.
    """
    if point.device is None and point.hook is None:
        return point.capture or "?"
    own = (point.device or "") + (f"[{point.hook}]" if point.hook else "")
    if point.netns is not None:
        return f"{point.host or ''}/{point.netns}/{own}"
    return own if point.host is None else f"{point.host}/{own}"


def interface_description(point: Point) -> str:
    """Return which clock stamped the packets, where it is not the host's own."""
    return f"observation point; clock {point.clock}" if point.clock else "observation point"
