"""What makes a page safe to open: names that cannot act, data that cannot end a script, a policy.

Everything a packet, a file name or a host name brings in is text: Jinja escapes it, SVG is built as
a tree, JSON is put where a browser never runs it, and the page's own script makes no HTML.
"""

import base64
import hashlib
import json
import re
from typing import Any

# Characters that change what others look like: controls, direction marks, isolates, tags (Unicode
# TR 36, section 2.1), and halves of surrogate pairs, which UTF-8 cannot carry.
_ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_IN_SCRIPT = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


def visible(text: str) -> str:
    """Return the text with every character that acts on its neighbours shown as `⟨U+202E⟩`."""
    return _ACTING.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text)


def visible_values(value: Any) -> Any:
    """Return JSON values with all strings and keys made visible."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {visible(str(key)): visible_values(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        if value and all(isinstance(each, int | float) for each in value):
            return value
        return [visible_values(each) for each in value]
    return value


def script_json(value: Any) -> str:
    """Return JSON that may stand inside a script element: no `<`, `>` or `&` in it."""
    text = json.dumps(visible_values(value), ensure_ascii=False, separators=(",", ":"))
    return text.translate(_IN_SCRIPT)


def content_policy(style: str, script: str) -> str:
    """Return a Content-Security-Policy that allows this one style and this one script.

    No network, no frames, no forms, no inline handlers or styles, and no HTML made from strings
    (Trusted Types, W3C).
    """
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_digest(style)}'",
            f"script-src '{_digest(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
