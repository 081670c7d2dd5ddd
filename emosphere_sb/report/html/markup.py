"""HTML that cannot go wrong: whatever is no :class:`Markup` is escaped."""

from __future__ import annotations

import base64
import html
import struct
from collections.abc import Iterable, Sequence

VOID = ("br", "img", "link", "meta")
"""Elements that hold nothing."""

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""Content security policy of every page: a browser fetches nothing and runs nothing."""

SIGNATURE = b"\x89PNG\r\n\x1a\n"

DPI = 144
"""Of the pictures; a browser's pixel is 1/96 inch."""


class Markup(str):
    """HTML that stands as it is. Make one only of text that is known to be safe."""


def element(name: str, /, *children: object, **attributes: object) -> Markup:
    """An HTML element.

    Arguments
    ---------
    name : str
        Of the element.
    *children : object
        What it holds, one after the other: :class:`Markup` stands as it is, anything else is
        turned into text and escaped; ``None`` is left out.
    **attributes : object
        Values are escaped. ``None`` and ``False`` are left out, ``True`` is an attribute without a
        value; ``class_`` is ``class``, and ``_`` within a name is ``-``.

    Returns
    -------
    Markup
        The element.

    Raises
    ------
    ValueError
        If an element that holds nothing is given children.

    Example
    -------
    >>> print(element("p", "a < b ", element("b", "c"), class_="warning"))
    <p class="warning">a &lt; b <b>c</b></p>
    """
    opening = f"<{name}{''.join(map(_attribute, attributes, attributes.values()))}>"
    if name in VOID:
        if children:
            raise ValueError(f"The element {name} holds nothing; found {children!r}.")
        return Markup(opening)
    return Markup(f"{opening}{join(children)}</{name}>")


def join(children: Iterable[object]) -> Markup:
    """Several pieces, one after the other, escaped as in :func:`element`."""
    return Markup("".join(map(_text, children)))


def table(
    heads: Sequence[object],
    rows: Iterable[Sequence[object]],
    *,
    caption: object = None,
    label: str | None = None,
) -> Markup:
    """A table whose first column names its rows, in a box of its own that scrolls sideways.

    Arguments
    ---------
    heads : sequence
        Of the columns.
    rows : iterable of sequence
        Cells, as many as there are heads.
    caption : object, optional
        Above the table.
    label : str, optional
        What the box is called for a screen reader. (default: the caption)

    Returns
    -------
    Markup
        Heads of columns and rows have their scope.

    Raises
    ------
    ValueError
        If a row has more or fewer cells than there are heads.
    """
    head = element("tr", *(element("th", text, scope="col") for text in heads))
    body = []
    for number, cells in enumerate(rows, start=1):
        if len(cells) != len(heads):
            raise ValueError(
                f"Row {number} of a table must have {len(heads)} cells, one for each head; found "
                f"{len(cells)}."
            )
        first, *others = cells
        data = (element("td", cell) for cell in others)
        body.append(element("tr", element("th", first, scope="row"), *data))
    whole = element(
        "table",
        None if caption is None else element("caption", caption),
        element("thead", head),
        element("tbody", *body),
    )
    return scrolling(whole, label or str(caption or "table"))


def scrolling(child: object, label: str) -> Markup:
    """A box that scrolls sideways, also with the keyboard."""
    return element("div", child, class_="wide", role="region", tabindex=0, aria_label=label)


def picture(png: bytes, alt: str, caption: object) -> Markup:
    """A PNG inside the page, with its caption.

    Arguments
    ---------
    png : bytes
        The file, drawn at 144 dots an inch: it is shown at its size, and smaller where the window
        is.
    alt : str
        What stands in its place for those who do not see it.
    caption : object
        Below it.

    Raises
    ------
    ValueError
        If it is no PNG, or there is no text in its place.
    """
    if png[:8] != SIGNATURE or len(png) < 24:
        raise ValueError(
            f"A picture must be a PNG file; found {png[:8]!r}. Draw it with plots.png."
        )
    if not alt.strip():
        raise ValueError("A picture needs a text for those who do not see it; found none.")
    data = base64.b64encode(png).decode("ascii")
    width, height = (round(pixels * 96 / DPI) for pixels in struct.unpack(">II", png[16:24]))
    size = {"width": width, "height": height}
    image = element("img", src=f"data:image/png;base64,{data}", alt=alt, **size)
    return element("figure", scrolling(image, "picture"), element("figcaption", caption))


def command(text: str) -> Markup:
    """A command line to be copied: it breaks between its words and not at their hyphens.

    Example
    -------
    >>> print(command("make demo"))
    <pre><span>make</span> <span>demo</span></pre>
    """
    words = (element("span", word) for word in text.split(" "))
    return element("pre", Markup(" ".join(words)))


def document(title: str, *body: object, css: str) -> Markup:
    """A whole page in English that fetches nothing.

    Arguments
    ---------
    title : str
        Of the window.
    *body : object
        Escaped as in :func:`element`.
    css : str
        The style; it must not close its element.

    Raises
    ------
    ValueError
        If the style holds a ``<``.
    """
    if "<" in css:
        raise ValueError("A style must not hold '<', which may end it; found one.")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("link", rel="icon", href="data:,"),
        element("title", title),
        element("style", Markup(css)),
    )
    return Markup(f"<!DOCTYPE html>\n{element('html', head, element('body', *body), lang='en')}\n")


def _text(child: object) -> str:
    if child is None:
        return ""
    return str(child) if isinstance(child, Markup) else html.escape(str(child), quote=False)


def _attribute(name: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'
