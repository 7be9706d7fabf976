"""Markdown to HTML: what authors use comes out, what could harm a reader does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from webapp.content.render import MAX_DRAWING_BYTES, headings, inline, internal_links, page, without_title


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<iframe src='//evil'></iframe>",
        "[a](javascript:alert(1))",
        "[a](data:text/html,<script>alert(1)</script>)",
        "<a href='java&#x0A;script:alert(1)'>a</a>",
        "<p style='position:fixed'>a</p>",
        "<form action='//evil'><input></form>",
        "<svg><script>alert(1)</script></svg>",
        "<svg onload=alert(1)></svg>",
        "<svg><foreignObject><body onload=alert(1)></foreignObject></svg>",
        "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
        "<math><mtext></p><style><img src=x onerror=alert(1)></style>",
        "<style>body{display:none}</style>",
        "<base href='//evil'>",
        "<meta http-equiv=refresh content='0;url=//evil'>",
        '[a](lab:pods" onclick="alert(1))',
        "```yaml\n<script>alert(1)</script>\n```",
    ],
)
def test_nothing_hostile_is_left(hostile: str) -> None:
    made = page(hostile, lambda kind, name: f"/{kind}/{name}").lower()
    for part in ("<script", "<iframe", "<form", "<input", "<style", "<base", "<meta", "<img", "onload", "onerror="):
        assert part not in made, made
    assert 'href="javascript' not in made
    assert "style=" not in made
    assert 'onclick="' not in made


def test_what_authors_use() -> None:
    text = """\
!!! try "Try it"
    Do `this`.

| a | b |
|---|---|
| 1 | 2 |

Term
:   Meaning.

??? note "More"
    Hidden.

## A *heading*

```yaml
kind: Pod
```
"""
    made = page(text)
    assert '<div class="admonition try">' in made
    assert '<div class="table-scroll"><table>' in made
    assert "<dt>Term</dt>" in made
    assert '<details class="note">' in made
    assert '<span class="nt">kind</span>' in made
    assert headings(made) == [("a-heading", "A heading")]


def test_links_inside_the_site_are_resolved() -> None:
    made = page(
        "[a](lab:pods) [b](lesson:gone) [c](https://example.org)", lambda k, n: "/x/" + n if k == "lab" else None
    )
    assert 'href="/x/pods"' in made
    assert 'href="#"' in made
    assert 'rel="noopener noreferrer"' in made
    assert internal_links("a\n[a](lab:pods)\n\n[b](lesson:x)") == [("lab", "pods", 1), ("lesson", "x", 3)]


def test_commands_without_prompt_are_commands() -> None:
    assert "language-bash" in page("```console\nkubectl get pods\n```\n")
    with_prompt = page("```console\n$ kubectl get pods\nNAME\n```\n")
    assert "language-console" in with_prompt
    assert '<span class="go">NAME' in with_prompt


def test_a_drawing_is_put_into_the_page_and_cleaned(tmp_path: Path) -> None:
    (tmp_path / "map.svg").write_text(
        '<?xml version="1.0"?><svg viewBox="0 0 9 9" role="img"><title>T</title><script>alert(1)</script>'
        '<rect class="d-box" width="4" onclick="x()" height="4"/><text x="1" y="2">Hi</text></svg>'
    )
    made = page("Before.\n\n![What *it* <shows>](map.svg)\n\nAfter.", folder=tmp_path)
    assert '<figure class="drawing"><svg viewBox="0 0 9 9" role="img"><title>T</title>' in made
    assert "<figcaption>What *it* &lt;shows&gt;</figcaption>" in made
    assert "alert" not in made
    assert "onclick" not in made
    assert "<p>After.</p>" in made


def test_a_drawing_that_is_missing_or_huge_leaves_its_words(tmp_path: Path) -> None:
    (tmp_path / "big.svg").write_text("<svg>" + " " * MAX_DRAWING_BYTES + "</svg>")
    for name in ("big", "none"):
        made = page(f"![The words]({name}.svg)", folder=tmp_path)
        assert "<svg" not in made
        assert "The words" in made


def test_inline_keeps_code_and_emphasis_only() -> None:
    assert inline("a `b<c>` *d* **e**") == "a <code>b&lt;c&gt;</code> <em>d</em> <strong>e</strong>"
    assert inline("<b onclick=x>t</b> [l](https://x) <script>s</script>") == "t l"
    assert inline("# not a heading").strip() in ("not a heading", "# not a heading")


def test_the_title_of_instructions_is_dropped_once() -> None:
    assert without_title("\n# One\n\n# Two\n") == "\n# Two\n"
    assert without_title("No title\n# Later\n") == "No title\n# Later\n"
