"""Names as they can be shown: those of files and devices may hold any byte but two."""


def sound(text: str) -> str:
    """Return a name with its bytes that are not UTF-8, which Python has as lone surrogates, as
    escapes (`\\xff`).
    """
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def printable(text: str) -> str:
    """Return the text, with what would move a terminal's cursor, colour it or reorder its letters
    as escapes (`\\x1b`, `\\n`, `\\u202e`).
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )
