"""Pseudonyms inside sentences: warnings, reasons, what flow paths were inferred from."""

import re
from collections.abc import Mapping

from tracer.core.address import decode_ip, decode_mac, encode_ip, encode_mac
from tracer.core.redaction.addresses import AddressPseudonyms
from tracer.core.redaction.names import NEUTRON_NAME, UUID, NamePseudonyms

_MAC = r"(?:[0-9A-Fa-f]{1,2}:){5}[0-9A-Fa-f]{1,2}"
_V4 = r"\d{1,3}(?:\.\d{1,3}){3}(?!\d)"
_V6 = r"(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{1,4}|\d{1,3}(?:\.\d{1,3}){3})?"
_PATTERNS = (
    f"(?P<mac>(?<![\\w:]){_MAC}(?![\\w:]))|(?P<v6>(?<![\\w:.]){_V6}(?![\\w]))"
    f"|(?P<v4>(?<![\\w.]){_V4})"
    f"|(?P<uuid>{UUID.pattern})|(?P<neutron>(?<![0-9A-Za-z])(?:{NEUTRON_NAME.pattern}))"
)


class Sentences:
    """Replaces addresses, UUIDs and names wherever they stand in a text.

    `names` maps those in use to their pseudonyms; a name counts where no letter, digit, dash or dot
    goes on.
    """

    def __init__(
        self, names: Mapping[str, str], addresses: AddressPseudonyms, other: NamePseudonyms
    ) -> None:
        self._names, self._addresses, self._other = names, addresses, other
        known = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True) if name)
        found = f"(?P<name>(?<![\\w-])(?:{known})(?![\\w-]|\\.\\w))|" if known else ""
        self._pattern = re.compile(found + _PATTERNS)

    def redacted(self, text: str) -> str:
        """Return the text with pseudonyms."""
        return self._pattern.sub(self._pseudonym, text)

    def _pseudonym(self, match: "re.Match[str]") -> str:
        kind, text = match.lastgroup, match.group()
        try:
            if kind == "mac":
                return decode_mac(self._addresses.mac(encode_mac(text))) or text
            if kind in ("v4", "v6"):
                return decode_ip(*self._addresses.ip(*encode_ip(text))) or text
        except ValueError:  # a time of day, a version
            return text
        if kind == "uuid":
            return self._other.identifier(text)
        if kind == "neutron":
            is_device = self._other.device(text)
            return self._other.place(text) if is_device.startswith("dev-") else is_device
        return self._names[text]
