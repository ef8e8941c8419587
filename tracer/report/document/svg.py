"""SVG as a tree, so that no text can become markup."""

import re
from xml.etree import ElementTree as Tree

from markupsafe import Markup

from tracer.report.document.safety import visible

Element = Tree.Element
_WIDTH = 0.6  # of a character to the font size; an upper bound for what names are made of


def node(tag: str, text: str | None = None, **attributes: object) -> Element:
    """Return an element; `_` in attribute names stands for `-`, at their end for nothing."""
    named = {
        name.rstrip("_").replace("_", "-"): visible(str(value))
        for name, value in attributes.items()
        if value is not None
    }
    element = Tree.Element(tag, named)
    element.text = None if text is None else visible(text)
    return element


def add(parent: Element, tag: str, text: str | None = None, **attributes: object) -> Element:
    """Return a new element that was put into the parent."""
    element = node(tag, text, **attributes)
    parent.append(element)
    return element


def drawing(width: float, height: float, title: str, description: str, name: str) -> Element:
    """Return an svg element with a text alternative; `name` is its id."""
    svg = node(
        "svg", class_="drawing", viewBox=f"0 0 {width:.0f} {height:.0f}", width=f"{width:.0f}",
        height=f"{height:.0f}", role="img", aria_labelledby=f"{name}-title {name}-description",
    )  # fmt: skip
    add(svg, "title", title, id=f"{name}-title")
    add(svg, "desc", description, id=f"{name}-description")
    return svg


def markup(element: Element) -> Markup:
    """Return the element as markup to be put into a page."""
    return Markup(Tree.tostring(element, encoding="unicode"))


def fitted(text: str, width: float, size: float) -> str:
    """Return the text, its middle left out where it is wider than `width` at a font size."""
    room = max(3, int(width / (size * _WIDTH)))
    if len(text) <= room:
        return text
    head = (room - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (room - 1 - head) :]}"


def restyled(text: str) -> Element:
    """Return the tree of an SVG text made by a plotting library, without styles and scripts."""
    root = Tree.fromstring(re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text))
    for element in root.iter():
        for name in list(element.attrib):
            if name == "style" or name.startswith("on") or "href" in name:
                del element.attrib[name]
        for child in list(element):
            if child.tag not in ("g", "path", "text", "tspan", "rect", "line", "title", "defs",
                                 "clipPath"):  # fmt: skip
                element.remove(child)
    return root
