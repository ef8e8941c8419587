"""Names as they can be shown: those of files and devices may hold any byte but two."""


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
