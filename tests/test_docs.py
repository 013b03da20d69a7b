"""Run the Python blocks of the README and the docs, and parse every elman command that they show.

A Python block runs unchanged, in an empty folder. A comment such as ``# 0.54825, exact`` after an expression must
begin with its value. An HTML comment right before the block changes that: ``<!-- not run: REASON -->`` leaves the block
out, ``<!-- run after: CODE -->`` runs CODE first.
"""

import ast
import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cyclopts
import pytest

from elman.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?:<!-- (not run|run after):(.*?)-->\n+)?^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INLINE_COMMAND = re.compile(r"`(elman [^`]+)`")
OPERATORS = {"|", "||", "&", "&&", ";", ">", "<"}


def blocks(*languages: str) -> Iterator[tuple[str, re.Match[str]]]:
    """Yield each fenced block in one of the languages, after its page and line."""
    for page in PAGES:
        text = page.read_text()
        for block in BLOCK.finditer(text):
            if block[3] in languages:
                yield f"{page.name}:{text[: block.start(4)].count(chr(10)) + 1}", block


def python_blocks() -> list[object]:
    return [pytest.param(*block.group(1, 2, 4), id=place) for place, block in blocks("python")]


def elman_commands(shell: str) -> Iterator[list[str]]:
    """Yield the arguments of each elman command in a line of shell, whose variables are read as 0."""
    lexer = shlex.shlex(re.sub(r"\$\w+", "0", shell), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = ["elman" if word.endswith("/elman") else word for word in lexer]
    while "elman" in words:
        words = words[words.index("elman") + 1 :]
        end = next((place for place, word in enumerate(words) if word in OPERATORS), len(words))
        yield words[:end]


def commands() -> list[object]:
    shells = [
        (place, line)
        for place, block in blocks("console", "bash")
        for line in re.sub(r"\\\n", " ", block[4]).splitlines()
        if line.startswith(("$ ", "  ")) or block[3] == "bash"
    ]
    inline = [(page.name, span) for page in PAGES for span in INLINE_COMMAND.findall(page.read_text())]
    return [
        pytest.param(arguments, id=f"{place} {shlex.join(arguments)}")
        for place, line in shells + inline
        for arguments in elman_commands(line.removeprefix("$ "))
        if arguments[:1] != ["COMMAND"]
    ]


def literal(comment: str) -> tuple[object, ...]:
    """Return the value that a comment begins with, or nothing if it begins in words."""
    for end in [*(match.start() for match in re.finditer("[,; ]", comment)), len(comment)]:
        try:
            return (ast.literal_eval(comment[:end].strip()),)
        except (ValueError, SyntaxError):
            continue
    return ()


@pytest.mark.parametrize(("directive", "text", "code"), python_blocks())
def test_python_block_runs_and_shows_its_values(
    directive: str | None, text: str | None, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if directive == "not run":
        pytest.skip(text.strip())
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    exec(text or "", namespace)
    lines = code.splitlines()
    for statement in ast.parse(code).body:
        source = ast.get_source_segment(code, statement)
        _, _, comment = lines[statement.end_lineno - 1][statement.end_col_offset :].partition("#")
        if not isinstance(statement, ast.Expr):
            exec(source, namespace)
        else:
            value = eval(source, namespace)
            for expected in literal(comment.strip()) if value is not None else ():
                assert value == (expected if isinstance(expected, list) else pytest.approx(expected, rel=1e-4))


@pytest.mark.parametrize("arguments", commands())
def test_command_in_the_docs_has_known_names_and_values(arguments: list[str]) -> None:
    with suppress(cyclopts.MissingArgumentError):  # a command that is only mentioned
        app.parse_args(arguments, exit_on_error=False, print_error=False)


def test_literal_is_what_a_comment_begins_with() -> None:
    assert literal("0.5, the end included") == (0.5,)
    assert literal("['a, b', 'c'], from this generator") == (["a, b", "c"],)
    assert literal("{'a': True} of it") == ({"a": True},)
    assert literal("in nats; -inf") == literal("the best, 3") == ()


def test_each_command_of_a_line_is_parsed() -> None:
    assert list(elman_commands("echo '(())' | elman language check brackets  # a comment")) == [
        ["language", "check", "brackets"]
    ]
    assert list(elman_commands("elman train a --seed $seed && .venv/bin/elman sample run; ls")) == [
        ["train", "a", "--seed", "0"],
        ["sample", "run"],
    ]
