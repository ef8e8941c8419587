"""A line of text in styled parts: cheap to build by the thousand, coloured only where wanted."""

from typing import TYPE_CHECKING

from tracer.core.printable import printable

if TYPE_CHECKING:
    from rich.text import Text


class Line:
    """Text in parts, each with a style (rich's words: `bold red`, `dim`) or none.

    rich prints it as it is (`__rich__`); `plain` is the text alone. What is not printable
    is escaped: names of files and devices come with the captures.
    """

    __slots__ = ("cell_len", "parts")

    def __init__(self, text: str = "", style: str = "") -> None:
        text = printable(text)
        self.parts = [(text, style)] if text else []
        self.cell_len = _width(text)

    @property
    def plain(self) -> str:
        """The text without styles."""
        return "".join([text for text, _ in self.parts])

    def append(self, text: str, style: str = "") -> "Line":
        """Return the line itself with a part more."""
        text = printable(text)
        self.parts.append((text, style))
        self.cell_len += _width(text)
        return self

    def extend(self, other: "Line") -> "Line":
        """Return the line itself with the parts of another."""
        self.parts += other.parts
        self.cell_len += other.cell_len
        return self

    def copy(self) -> "Line":
        """Return a line with the same parts."""
        line = Line()
        line.parts, line.cell_len = self.parts.copy(), self.cell_len
        return line

    def rstrip(self) -> "Line":
        """Return the line itself without spaces at its end."""
        while self.parts:
            text, style = self.parts.pop()
            kept = text.rstrip(" ")
            self.cell_len -= len(text) - len(kept)
            if kept:
                self.parts.append((kept, style))
                break
        return self

    def __rich__(self) -> "Text":
        """Return the line as rich prints it."""
        from rich.text import Text

        return Text.assemble(*self.parts)


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)
