"""SVG as text: elements, numbers, and names that nobody vouches for."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from html import escape

Point = tuple[float, float]

_NARROW, _WIDE = frozenset("iIjlrtf.,:;'|!()[]/ "), frozenset("mMwWQO%@—…≈")
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_PREFIX = re.compile(r"[a-z][a-z0-9-]{0,40}")


def safe(text: str) -> str:
    """Return a text without what XML forbids or what turns the direction of writing."""
    return "".join(
        "\ufffd"
        if letter in _BIDI or unicodedata.category(letter) in ("Cc", "Cs", "Cn")
        else letter
        for letter in text
    )


def number(value: float) -> str:
    """Return a coordinate with at most one decimal."""
    text = f"{value:.1f}"
    text = text[:-2] if text.endswith(".0") else text
    return "0" if text == "-0" else text


def element(tag: str, *content: str, **attributes: str | float | None) -> str:
    """Return an element; ``class_`` is ``class`` and ``text_anchor`` is ``text-anchor``.

    `content` is SVG already; attributes are escaped, those that are None or empty left out.
    """
    parts = [tag]
    for name, value in attributes.items():
        if value is None or value == "":
            continue
        told = number(value) if isinstance(value, int | float) else escape(safe(value))
        parts.append(f'{name.rstrip("_").replace("_", "-")}="{told}"')
    inner = "".join(content)
    return f"<{' '.join(parts)}>{inner}</{tag}>" if inner else f"<{' '.join(parts)}/>"


def words(tag: str, text: str, **attributes: str | float | None) -> str:
    """Return an element that holds a text."""
    return element(tag, escape(safe(text), quote=False) or " ", **attributes)


def path(points: Iterable[Point]) -> str:
    """Return the path through points, right angles in short."""
    made, last = "", None
    for x, y in points:
        if last is None:
            made = f"M{number(x)} {number(y)}"
        elif (x, y) == last:
            continue
        elif y == last[1]:
            made += f"H{number(x)}"
        elif x == last[0]:
            made += f"V{number(y)}"
        else:
            made += f"L{number(x)} {number(y)}"
        last = (x, y)
    return made


def width_px(text: str, size_px: float) -> float:
    """Return about how wide a text is; rather too wide than too narrow for a sans-serif font."""
    total = 0.0
    for letter in text:
        if letter in _NARROW:
            total += 0.40
        elif letter in _WIDE:
            total += 0.98
        elif unicodedata.east_asian_width(letter) in "WF":
            total += 1.05
        else:
            total += 0.74 if letter.isupper() else 0.63
    return total * size_px


def short(text: str, letters: int) -> str:
    """Return a text of at most so many letters."""
    text = safe(text)
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def document(
    *content: str,
    width: float,
    height: float,
    title: str,
    description: str,
    prefix: str,
    kind: str,
    style: str = "",
) -> str:
    """Return the ``<svg>`` element of a picture.

    Parameters
    ----------
    prefix : str
        Begins every id in the picture, so that a page can hold several.
    style : str
        Style sheet inside, for a file that stands alone.

    Raises
    ------
    ValueError
        When the prefix is no id.
    """
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"{prefix!r} cannot begin an id")
    labelled = f"{prefix}-title {prefix}-desc"
    return element(
        "svg",
        words("title", title, id=f"{prefix}-title"),
        words("desc", description, id=f"{prefix}-desc"),
        element("style", style) if style else "",
        element("rect", class_="sheet", width=width, height=height),
        *content,
        xmlns="http://www.w3.org/2000/svg",
        class_=f"drawing {kind}",
        viewBox=f"0 0 {number(width)} {number(height)}",
        width=width if style else None,
        height=height if style else None,
        role="img",
        aria_labelledby=labelled,
    )
