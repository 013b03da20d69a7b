"""A report's Markdown as a page and as a document: pandoc makes HTML of it, and what Typst makes a PDF of.

Both come as Python packages with all that they need; no TeX, no browser, no network. The page holds its style and its
figures itself. In the figures black is turned into the page's own colour of text, and white into nothing, so that they
can be read on a dark page too.
"""

import re
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pypandoc
import typst

from elman.files import new_file, write_text

MARKDOWN = "markdown_strict" + "".join(
    f"+{extension}"
    for extension in (
        "all_symbols_escapable",
        "auto_identifiers",
        "backtick_code_blocks",
        "implicit_figures",
        "intraword_underscores",
        "lists_without_preceding_blankline",
        "markdown_in_html_blocks",
        "native_spans",
        "pipe_tables",
        "raw_html",
    )
)
"""What is understood: what GitHub understands too, and nothing that a sample could mean by accident."""

IMAGE = re.compile(r'<img\b[^>]*?\bsrc="(figures/[^"]+\.svg)"[^>]*?/?>')
SUMMARY = re.compile(r"<details><summary>(.*?)</summary>")
ALT = re.compile(r'\balt="([^"]*)"')


def write_html(directory: Path, source: str) -> Path:
    """Write ``report.html`` from Markdown whose figures lie in ``directory``; return its path."""
    options = ["--toc", "--toc-depth=1", "--shift-heading-level-by=-1", "--syntax-highlighting=none"]
    page = _converted(source, "html5", "page.html", options)
    path = directory / "report.html"
    write_text(path, IMAGE.sub(lambda image: _inline(directory, image), page))
    return path


def write_pdf(directory: Path, source: str) -> Path:
    """Write ``report.pdf`` from Markdown whose figures lie in ``directory``; return its path.

    On paper nothing unfolds: the line that would becomes a heading.
    """
    source = SUMMARY.sub(r"#### \1", source)
    document: Any = _converted(source, "typst", "page.typ", ["--shift-heading-level-by=-1"]).encode()
    path = directory / "report.pdf"
    with new_file(path) as partial:
        typst.compile(document, output=str(partial), root=str(directory.resolve()), format="pdf")
    return path


def _converted(source: str, form: str, template: str, options: list[str]) -> str:
    with as_file(files("elman.report").joinpath("templates", template)) as path:
        arguments = ["--standalone", f"--template={path}", "--wrap=none", "--columns=10000", *options]
        converted: str = pypandoc.convert_text(source, form, format=MARKDOWN, extra_args=arguments)
    return converted


def _inline(directory: Path, image: re.Match[str]) -> str:
    """Return the figure itself instead of a link to it; its names are made its own."""
    file = image[1]
    drawn = (directory / file).read_text(encoding="utf-8")
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn[drawn.index("<svg") :], flags=re.DOTALL)
    own = re.sub(r"\W", "-", Path(file).stem)
    drawn = re.sub(r'\bid="([^"]+)"', rf'id="{own}-\1"', drawn)
    drawn = re.sub(r'((?:xlink:)?href)="#([^"]+)"', rf'\1="#{own}-\2"', drawn)
    drawn = re.sub(r"url\(#([^)]+)\)", rf"url(#{own}-\1)", drawn)
    drawn = drawn.replace("#000000", "currentColor").replace("fill: #ffffff", "fill: none")
    alt = ALT.search(image[0])
    return drawn.replace("<svg ", f'<svg role="img" aria-label="{alt[1] if alt else own}" ', 1)
