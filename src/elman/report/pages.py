"""Conversion of a report from Markdown: pandoc writes HTML, and the source from which Typst makes a PDF.

Both programs are Python packages that need no TeX, browser or network. The HTML page contains its style and figures. In
the figures black becomes the text color of the page, and white becomes transparent, so a dark page shows them too.
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
"""The Markdown of GitHub, without extensions that the text of a sample could trigger by accident."""

IMAGE = re.compile(r'<img\b[^>]*?\bsrc="(figures/[^"]+\.svg)"[^>]*?/?>')
SUMMARY = re.compile(r"<details><summary>(.*?)</summary>")
ALT = re.compile(r'\balt="([^"]*)"')


def write_html(directory: Path, source: str) -> Path:
    """Write ``report.html`` into ``directory``, which holds the figures of the Markdown; return the path."""
    options = ["--toc", "--toc-depth=1", "--shift-heading-level-by=-1", "--syntax-highlighting=none"]
    page = _convert(source, "html5", "page.html", options)
    path = directory / "report.html"
    write_text(path, IMAGE.sub(lambda image: _inline(directory, image), page))
    return path


def write_pdf(directory: Path, source: str) -> Path:
    """Write ``report.pdf`` into ``directory``, which holds the figures of the Markdown; return the path.

    The summary line of a folded part becomes a heading.
    """
    source = SUMMARY.sub(r"#### \1", source)
    document: Any = _convert(source, "typst", "page.typ", ["--shift-heading-level-by=-1"]).encode()
    path = directory / "report.pdf"
    with new_file(path) as partial:
        typst.compile(document, output=str(partial), root=str(directory.resolve()), format="pdf")
    return path


def _convert(source: str, form: str, template: str, options: list[str]) -> str:
    with as_file(files("elman.report").joinpath("templates", template)) as path:
        arguments = ["--standalone", f"--template={path}", "--wrap=none", "--columns=10000", *options]
        converted: str = pypandoc.convert_text(source, form, format=MARKDOWN, extra_args=arguments)
    return converted


def _inline(directory: Path, image: re.Match[str]) -> str:
    """Return the SVG of a linked figure; its ids get a prefix that no other figure has."""
    file = image[1]
    svg = (directory / file).read_text(encoding="utf-8")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    prefix = re.sub(r"\W", "-", Path(file).stem)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', svg)
    svg = re.sub(r'((?:xlink:)?href)="#([^"]+)"', rf'\1="#{prefix}-\2"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", svg)
    svg = svg.replace("#000000", "currentColor").replace("fill: #ffffff", "fill: none")
    alt = ALT.search(image[0])
    return svg.replace("<svg ", f'<svg role="img" aria-label="{alt[1] if alt else prefix}" ', 1)
