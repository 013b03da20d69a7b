"""`elman language` as a command: its start-up, and strings and files as people write them."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elman.errors import LanguageError
from elman.languages import LANGUAGES, language
from elman.report.terminal import print_evaluation
from elman.scoring import cross_entropy, excess

Command = Callable[..., tuple[int, str, str]]

SHOW_MODULES = """\
import sys
from elman.cli import main
sys.argv = ["elman", *sys.argv[1:]]
main()
print(*sys.modules, file=sys.stderr)
"""

REBER = """\
kind = "automaton"
name = "reber"
alphabet = ["B", "T", "P", "S", "X", "V", "E"]
start = "0"
[states.0]
"B -> 1" = 1
[states.1]
"T -> 2" = 0.5
"P -> 3" = 0.5
[states.2]
"S -> 2" = 0.5
"X -> 4" = 0.5
[states.3]
"T -> 3" = 0.5
"V -> 5" = 0.5
[states.4]
"X -> 3" = 0.5
"S -> 6" = 0.5
[states.5]
"P -> 4" = 0.5
"V -> 6" = 0.5
[states.6]
"E -> 7" = 1
[states.7]
stop = 1
"""

ARROW = """\
kind = "automaton"
alphabet = ["int", "->"]
start = "type"
[states.type]
"int -> after" = 1.0
[states.after]
stop = 0.5
"-> -> type" = 0.5
"""

DATE = """\
kind = "automaton"
alphabet = ["3", " ", "M", "a", "y"]
start = "d"
[states.d]
"3 -> sp" = 1
[states.sp]
"  -> m" = 1
[states.m]
"M -> a" = 1
[states.a]
"a -> y" = 1
[states.y]
"y -> end" = 1
[states.end]
stop = 1
"""

EPSILON = """\
kind = "grammar"
alphabet = ["a", "b"]
start = "S"
[rules.S]
"a S b" = 0.5
"ε" = 0.5
"""


def modules_after(*arguments: str) -> set[str]:
    """Return the top-level modules that a process has imported after running the command."""
    command = [sys.executable, "-c", SHOW_MODULES, *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    return {module.partition(".")[0] for module in finished.stderr.split()}


@pytest.mark.parametrize(
    "arguments", [["list"], ["info", "brackets"], ["info", "dyck2", "--max-symbols", "20"]], ids=" ".join
)
def test_an_exact_language_needs_neither_torch_nor_scipy(arguments: list[str]) -> None:
    assert modules_after("language", *arguments).isdisjoint({"torch", "scipy", "networkx", "matplotlib"})


@pytest.mark.slow
def test_an_estimated_entropy_needs_no_torch() -> None:
    assert "torch" not in modules_after("language", "info", "toy")


@pytest.fixture
def judged(elman: Command, tmp_path: Path) -> Callable[[str, str], list[dict[str, Any]]]:
    """Return the judgments of a text's lines under a language, given by name or as the text of its file."""

    def judge(name: str, text: str) -> list[dict[str, Any]]:
        if "\n" in name:
            (tmp_path / "mine.toml").write_text(name, encoding="utf-8")
            name = str(tmp_path / "mine.toml")
        (tmp_path / "strings.txt").write_text(text, encoding="utf-8")
        code, out, _ = elman("language", "check", name, tmp_path / "strings.txt", "--json")
        strings: list[dict[str, Any]] = json.loads(out)["strings"]
        assert code == (0 if all(string["grammatical"] for string in strings) else 1)
        return strings

    return judge


def test_blanks_around_symbols_are_ignored(judged: Any) -> None:
    strings = judged(REBER, "BTSSXXTVVE\nBTSSPXSE\nBPVVE\n\nBTXXVPSE \n")
    assert [string["grammatical"] for string in strings] == [True, False, True, False, True]
    assert [string["probability"] for string in strings] == pytest.approx([2**-8, 0, 2**-3, 0, 2**-6])
    strings = judged("anbn", "aabb\na a b b\n  a a b b\t\r\na b a b\n")
    assert [string["grammatical"] for string in strings] == [True, True, True, False]
    assert strings[0]["log_prob"] == strings[1]["log_prob"] == strings[2]["log_prob"]
    assert not any(string["unknown_symbols"] for string in strings)


def test_inner_blanks_count_if_a_blank_is_a_symbol(judged: Any) -> None:
    strings = judged("toy", "a cat ran\na cat ran \na  cat ran\nacat ran\n")
    assert [string["grammatical"] for string in strings] == [True, True, False, False]


def test_unknown_symbols_are_distinguished_from_ungrammatical_strings(
    elman: Command, judged: Any, tmp_path: Path
) -> None:
    strings = judged("anbn", "#aabb#\nabb\nab\n")
    assert [string["unknown_symbols"] for string in strings] == [["#"], [], []]
    assert [string["grammatical"] for string in strings] == [False, False, True]
    code, out, err = elman("language", "check", "anbn", tmp_path / "strings.txt")
    assert code == 1
    unknown, ungrammatical, grammatical = out.splitlines()
    assert 'unknown symbol "#"' in unknown
    assert "grammatical" not in unknown
    assert "not grammatical" in ungrammatical
    assert grammatical.startswith("✓")
    assert err == 'The alphabet of anbn is "a" "b".\n'


@pytest.mark.parametrize(("symbol", "shown"), [("\u200b", '"\\u200b"'), ("[b]", '"[b]"')])
def test_unknown_symbols_are_printed_in_quotes_and_escaped(
    elman: Command, tmp_path: Path, symbol: str, shown: str
) -> None:
    (tmp_path / "strings.txt").write_text(f"cat {symbol}\n", encoding="utf-8")
    _, out, _ = elman("language", "check", "toy-words", tmp_path / "strings.txt")
    assert out.rstrip().endswith(f"unknown symbol {shown}")


def test_epsilon_in_a_string_gets_a_hint(elman: Command, tmp_path: Path) -> None:
    (tmp_path / "strings.txt").write_text("ε\n\n", encoding="utf-8")
    _, out, err = elman("language", "check", "dyck1", tmp_path / "strings.txt")
    assert [line[0] for line in out.splitlines()] == ["✗", "✓"]
    assert "Write an empty line for the empty string." in " ".join(err.split())


def test_an_arrow_can_be_a_symbol(judged: Any) -> None:
    strings = judged(ARROW, "int\nint -> int\nint -> int -> int\nint ->\n-> int\nint->int\n")
    assert [string["probability"] for string in strings] == pytest.approx([1 / 2, 1 / 4, 1 / 8, 0, 0, 0])
    assert strings[5]["unknown_symbols"] == ["int->int"]


@pytest.mark.parametrize(
    ("alphabet", "key"),
    [
        ('["-"]', "--> end"),
        ('["->"]', "->->end"),
        ('["a->b"]', "a->b -> end"),
        ('[">"]', ">->end"),
        ('[" "]', "  -> end"),
        ('[" "]', " ->end"),
    ],
)
def test_arcs_whose_symbol_contains_an_arrow_or_a_blank(tmp_path: Path, alphabet: str, key: str) -> None:
    path = tmp_path / "mine.toml"
    head = f'kind = "automaton"\nalphabet = {alphabet}\nstart = "start"\n'
    path.write_text(f'{head}[states.start]\n"{key}" = 1\n[states.end]\nstop = 1\n', encoding="utf-8")
    mine = language(str(path))
    assert mine.log_prob(mine.alphabet) == 0


def test_states_can_contain_an_arrow(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    head = 'kind = "automaton"\nalphabet = ["a"]\nstart = "p->q"\n'
    path.write_text(f'{head}[states."p->q"]\n"a -> q->p" = 1\n[states."q->p"]\nstop = 1\n', encoding="utf-8")
    assert language(str(path)).log_prob("a") == 0


def test_a_blank_can_be_a_symbol(judged: Any) -> None:
    strings = judged(DATE, "3 May\n3 May \n3May\n3  May\n")
    assert [string["grammatical"] for string in strings] == [True, True, False, False]


def test_a_final_blank_counts_if_the_language_contains_it(judged: Any) -> None:
    blanks = 'kind = "automaton"\nalphabet = [" ", "a"]\nstart = "s"\n[states.s]\n"a -> t" = 1\n'
    strings = judged(blanks + '[states.t]\n"  -> t" = 0.5\nstop = 0.5\n', "a\na \na  \n")
    assert [string["probability"] for string in strings] == pytest.approx([1 / 2, 1 / 4, 1 / 8])


@pytest.mark.parametrize(
    ("kind", "alphabet", "rest"),
    [
        ("automaton", '["3", " ", "May"]', "[states.s]\nstop = 1\n"),
        ("grammar", '["3", " ", "M"]', '[rules.s]\n"3 M" = 1\n'),
    ],
)
def test_a_blank_cannot_be_a_symbol_where_blanks_separate_symbols(
    tmp_path: Path, kind: str, alphabet: str, rest: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'kind = "{kind}"\nalphabet = {alphabet}\nstart = "s"\n{rest}', encoding="utf-8")
    with pytest.raises(LanguageError, match=r"line 2: .* blanks separate the symbols"):
        language(str(path))


def test_epsilon_in_a_file_gets_a_hint(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(EPSILON, encoding="utf-8")
    with pytest.raises(LanguageError, match="line 6: The symbol 'ε' has no rules") as caught:
        language(str(path))
    assert 'Write "" for the empty string' in caught.value.remedy
    path.write_text(EPSILON.replace("ε", ""), encoding="utf-8")
    assert language(str(path)).mean_tokens() == pytest.approx(3)
    path.write_text(EPSILON.replace('["a", "b"]', '["a", "b", "ε"]'), encoding="utf-8")
    assert language(str(path)).is_member("aεb")
    path.write_text(ARROW.replace("-> -> type", "ε -> type"), encoding="utf-8")
    with pytest.raises(LanguageError, match="line 8: The symbol 'ε' is not in the alphabet") as caught:
        language(str(path))
    assert "Use a stop" in caught.value.remedy


def test_a_byte_order_mark_is_ignored(judged: Any) -> None:
    grammar = 'kind = "grammar"\nalphabet = ["foo", "and"]\nstart = "NP"\n[rules.NP]\n"NP and N" = 0.5\n"N" = 0.5\n'
    [string] = judged(f'\ufeff{grammar}[rules.N]\n"foo" = 1.0\n', "\ufefffoo and foo\n")
    assert string["probability"] == pytest.approx(0.25)


class Terminal(io.TextIOWrapper):
    """Standard input that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_check_tells_a_terminal_that_it_reads_standard_input(elman: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(io.BytesIO(b"(())\n")))
    code, out, err = elman("language", "check", "brackets")
    assert code == 0
    assert out.startswith("✓ (())")
    assert "standard input" in err
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"(())\n")))
    assert elman("language", "check", "brackets")[2] == ""


def test_list_names_every_language_with_its_options(elman: Command) -> None:
    code, out, _ = elman("language", "list")
    assert code == 0
    assert {*LANGUAGES} <= {*out.split()}
    assert "k=1,p=0.3" in out
    _, out, _ = elman("language", "list", "--json")
    table = {entry["name"]: entry for entry in json.loads(out)["languages"]}
    assert [*table] == [*LANGUAGES]
    assert all(entry["description"] for entry in table.values())
    assert table["dyck"]["options"] == {"k": 1, "p": 0.3}
    assert table["brackets"]["options"] == {}
    for name, entry in table.items():
        assert language(name, **entry["options"]).log_prob("") == language(name).log_prob("")


@pytest.mark.parametrize(("strings", "shown"), [(1, False), (2, True)])
def test_an_excess_over_one_string_has_no_interval(
    capsys: pytest.CaptureFixture[str], strings: int, shown: bool
) -> None:
    nats, tokens = np.full(strings, 2.0), np.full(strings, 3)
    figures = {"task": "language-model", "run": "run", "split": "val", **cross_entropy(nats, tokens)}
    print_evaluation(figures | excess(nats, np.ones(strings), tokens, language("brackets")))
    assert ("95%" in capsys.readouterr().out) is shown
