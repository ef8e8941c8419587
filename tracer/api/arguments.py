"""Arguments of the API as what they have to be, or InputError that names them."""

from collections.abc import Iterable, Mapping
from numbers import Real
from operator import index
from os import PathLike, fsdecode, fspath
from typing import Any

from tracer.core.errors import InputError

PathName = str | PathLike[str]


def whole(value: Any, name: str, least: int, most: int | None = None) -> int:
    """Return a whole number of Python, numpy or pandas that lies from `least` to `most`."""
    try:
        number = least - 1 if isinstance(value, bool) else index(value)
    except TypeError:
        number = least - 1
    if number < least or (most is not None and number > most):
        scope = f"of {least} or more" if most is None else f"from {least} to {most}"
        raise InputError(f"{name} is {value!r}.", f"Give a whole number {scope}.")
    return number


def seconds(value: Any, name: str, least: float) -> float:
    """Return a number of seconds that is not below `least`."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not float(value) >= least:  # as nan is not, either
        raise InputError(f"{name} is {value!r}.", f"Give a number of seconds, {least} or more.")
    return float(value)


def path_name(value: Any, name: str) -> str:
    """Return a path as text."""
    try:
        text = fsdecode(fspath(value))
    except TypeError:
        text = ""
    if not text or "\0" in text:
        raise InputError(f"{name} is {value!r}, which names no file.", "Give a path as text.")
    return text


def path_names(value: Any, name: str) -> list[str]:
    """Return one path or several as texts."""
    is_one = isinstance(value, str | bytes | PathLike) or not isinstance(value, Iterable)
    return [path_name(each, name) for each in ((value,) if is_one else value)]


def named_paths(value: Any, name: str) -> dict[str, str]:
    """Return a mapping of texts to paths, {} for None."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InputError(
            f"{name} is {value!r}.", 'Give a mapping such as {"compute03/eth0": "nic.pcap"}.'
        )
    return {key: path_name(file, f"{name}[{key!r}]") for key, file in value.items()}


def words(value: Any, name: str) -> tuple[str, ...]:
    """Return the words of a command."""
    is_list = isinstance(value, Iterable) and not isinstance(value, str | bytes)
    several = tuple(value) if is_list else ()
    if not is_list or not all(isinstance(word, str) for word in several):
        raise InputError(f"{name} is {value!r}.", 'Give its words, as in ["ping", "-c", "1"].')
    return several
