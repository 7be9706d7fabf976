"""Markdown to HTML that is safe to show, whoever wrote it.

Everything passes through nh3 with the list of tags and attributes below, drawings included; nothing else reaches a
page. Links of the forms ``lesson:NAME`` and ``lab:NAME`` are resolved by the caller, a drawing ``![text](name.svg)``
beside the lesson is put into the page itself so that it follows the reader's light or dark theme.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import markdown
import nh3

Resolve = Callable[[str, str], str | None]
"""From ("lesson" or "lab", name) to an address; None when there is no such thing."""

# fmt: off
_TEXT_TAGS = {
    "a", "abbr", "aside", "blockquote", "br", "code", "dd", "del", "details", "div", "dl", "dt", "em", "figcaption",
    "figure", "h1", "h2", "h3", "h4", "h5", "hr", "kbd", "li", "ol", "p", "pre", "span", "strong", "sub", "summary",
    "sup", "table", "tbody", "td", "th", "thead", "tr", "ul",
}
_SVG_TAGS = {
    "svg", "g", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text", "tspan", "title", "desc",
}
# fmt: on
_SHAPE = {"class", "transform"}
_SVG_ATTRIBUTES = {
    "svg": {"viewBox", "class", "role", "aria-labelledby", "aria-hidden", "focusable"},
    "title": {"id"},
    "desc": {"id"},
    "g": _SHAPE,
    "path": {"d", *_SHAPE},
    "rect": {"x", "y", "width", "height", "rx", *_SHAPE},
    "circle": {"cx", "cy", "r", *_SHAPE},
    "ellipse": {"cx", "cy", "rx", "ry", *_SHAPE},
    "line": {"x1", "y1", "x2", "y2", *_SHAPE},
    "polyline": {"points", *_SHAPE},
    "polygon": {"points", *_SHAPE},
    "text": {"x", "y", "text-anchor", *_SHAPE},
    "tspan": {"x", "y", "dx", "dy", *_SHAPE},
}
_ATTRIBUTES: dict[str, set[str]] = {
    "a": {"href", "title"},
    "abbr": {"title"},
    "code": {"class"},
    "div": {"class"},
    "p": {"class"},
    "pre": {"class", "tabindex"},
    "span": {"class"},
    "details": {"class", "open"},
    "figure": {"class"},
    "ol": {"start"},
    "td": {"class", "colspan", "rowspan"},
    "th": {"class", "colspan", "rowspan", "scope"},
    **{f"h{level}": {"id"} for level in range(1, 6)},
    **_SVG_ATTRIBUTES,
}
_CLEANER = nh3.Cleaner(
    tags=_TEXT_TAGS | _SVG_TAGS,
    attributes=_ATTRIBUTES,
    url_schemes={"http", "https", "mailto", "lesson", "lab"},
    link_rel="noopener noreferrer",
    strip_comments=True,
)
_INLINE = nh3.Cleaner(
    tags={"code", "em", "strong", "kbd"}, attributes={}, url_schemes=set(), clean_content_tags={"script", "style"}
)
_EXTENSIONS = [
    "abbr",
    "admonition",
    "def_list",
    "md_in_html",
    "sane_lists",
    "tables",
    "toc",
    "pymdownx.betterem",
    "pymdownx.details",
    "pymdownx.highlight",
    "pymdownx.inlinehilite",
    "pymdownx.keys",
    "pymdownx.superfences",
]
_SETTINGS: dict[str, dict[str, Any]] = {
    "toc": {"permalink": False},
    "pymdownx.highlight": {"guess_lang": False, "css_class": "code", "use_pygments": True, "pygments_lang_class": True},
}
_INTERNAL = re.compile(r'href="(lesson|lab):([a-z0-9-]+)"')
_DRAWING = re.compile(r"^!\[([^\]]*)\]\(([a-z0-9-]+)\.svg\)[ \t]*$", re.MULTILINE)
_TABLE = re.compile(r"<table>.*?</table>", re.DOTALL)
_PLAIN_CONSOLE = re.compile(r"^([ ]*```)console([ ]*\n)(.*?)^\1[ ]*$", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r"\A\s*# [^\n]*\n")
MAX_DRAWING_BYTES = 64 * 1024


def page(text: str, resolve: Resolve | None = None, folder: Path | None = None) -> str:
    """``text`` (Markdown) as safe HTML; ``folder`` is where drawings are looked for."""
    drawings: list[str] = []

    def place(match: re.Match[str]) -> str:
        drawing = _drawing(folder, match.group(2), match.group(1)) if folder else ""
        if not drawing:
            return match.group(1)
        drawings.append(drawing)
        return f"\n<p>@@drawing-{len(drawings) - 1}@@</p>\n"

    made = markdown.markdown(
        _DRAWING.sub(place, _PLAIN_CONSOLE.sub(_as_shell, text)),
        extensions=_EXTENSIONS,
        extension_configs=_SETTINGS,
        output_format="html",
    )
    for index, drawing in enumerate(drawings):
        made = made.replace(f"<p>@@drawing-{index}@@</p>", drawing)
    safe = _CLEANER.clean(made)
    safe = _TABLE.sub(lambda match: f'<div class="table-scroll">{match.group(0)}</div>', safe)
    return _INTERNAL.sub(lambda match: _address(match, resolve), safe)


def without_title(text: str) -> str:
    """Markdown without the first-level heading it begins with, for pages that show a title of their own."""
    return _TITLE.sub("", text, count=1)


def inline(text: str) -> str:
    """One line of Markdown (code, emphasis) as safe HTML without a paragraph around it."""
    made = markdown.markdown(text, extensions=["pymdownx.betterem"], output_format="html")
    return _INLINE.clean(made).strip()


def headings(html_text: str) -> list[tuple[str, str]]:
    """The second-level headings of a rendered page: (id, text) in their order."""
    found = re.findall(r'<h2 id="([^"]+)">(.*?)</h2>', html_text, re.DOTALL)
    return [(anchor, html.unescape(re.sub(r"<[^>]+>", "", text))) for anchor, text in found]


def internal_links(text: str) -> list[tuple[str, str, int]]:
    """Every ``lesson:`` and ``lab:`` link of a Markdown text: (kind, name, line from 0)."""
    return [
        (match.group(1), match.group(2), text.count("\n", 0, match.start()))
        for match in re.finditer(r"\]\((lesson|lab):([a-z0-9-]+)\)", text)
    ]


def _as_shell(match: re.Match[str]) -> str:
    """A console block without prompts holds commands only: highlighted as such, not as output."""
    if re.search(r"^[ ]*\$ ", match.group(3), re.MULTILINE):
        return match.group(0)
    return f"{match.group(1)}bash{match.group(2)}{match.group(3)}{match.group(1)}"


def _address(match: re.Match[str], resolve: Resolve | None) -> str:
    address = resolve(match.group(1), match.group(2)) if resolve else None
    return f'href="{html.escape(address or "#", quote=True)}"'


def _drawing(folder: Path, name: str, caption: str) -> str:
    path = folder / f"{name}.svg"
    if not path.is_file() or path.stat().st_size > MAX_DRAWING_BYTES:
        return ""
    svg = re.sub(r"^.*?(?=<svg)", "", path.read_text(encoding="utf-8"), count=1, flags=re.DOTALL)
    return f'<figure class="drawing">{svg}<figcaption>{html.escape(caption)}</figcaption></figure>'
