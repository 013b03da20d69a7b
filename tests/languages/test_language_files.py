"""Languages from TOML files: the examples of the documentation, and mistakes that are reported with their line."""

import random
import re
from pathlib import Path

import pytest

from elman.errors import LanguageError
from elman.languages import END, LANGUAGES, language
from elman.languages.file import from_file

EXAMPLES = Path(__file__).parents[2] / "docs" / "languages"

AUTOMATON = """\
kind = "automaton"
alphabet = ["0", "1"]
start = "even"

[states.even]
stop = 0.5
"0 -> even" = "1/4"
"1 -> odd" = "1/4"

[states.odd]
"1 -> even" = 1
"""

GRAMMAR = """\
kind = "grammar"
alphabet = [
  "x",
  "+",
]
start = "S"

[rules.S]
"S + T" = 0.2
"T" = 0.8

[rules.T]
"x" = 1
"""

MISTAKES = [  # the file, the replaced text, the mistake, the reported line, the reported problem
    # An automaton
    (AUTOMATON, '"1 -> odd"', '"2 -> odd"', 8, "symbol '2' is not in the alphabet"),
    (AUTOMATON, '"1 -> odd"', '"1 -> od"', 8, "state 'od' is not described"),
    (AUTOMATON, '"1 -> odd"', '"1 odd"', 8, "neither an arc nor a stop"),
    (AUTOMATON, "stop = 0.5", "stop = 0.4", 5, "sum to 0.9, not to 1"),
    (AUTOMATON, "stop = 0.5", "stop = 1.5", 6, "not above 0 and at most 1"),
    (AUTOMATON, "stop = 0.5", "stop = 0", 6, "not above 0"),
    (AUTOMATON, "stop = 0.5", "stop = nan", 6, "nan"),
    (AUTOMATON, "stop = 0.5", "stop = true", 6, "not a number"),
    (AUTOMATON, '= "1/4"\n"1', '= "1/0"\n"1', 7, "'1/0' is not a number"),
    (AUTOMATON, '= "1/4"\n"1', '= "a half"\n"1', 7, "not a number"),
    (AUTOMATON, '"1/4"\n"1', '-0.25\n"1', 7, "-0.25"),
    (AUTOMATON, '"1 -> odd" = "1/4"', '"0  ->  even" = "1/4"', 7, "given twice"),
    (AUTOMATON, '"1 -> odd" = "1/4"', '"1 -> even" = "1/4"', 10, "'odd' cannot be reached"),
    (AUTOMATON, '"1 -> even" = 1', '"1 -> odd" = 1', 10, "never stops: its mean length is infinite"),
    (AUTOMATON, 'start = "even"', 'start = "evn"', 3, "start state 'evn' is not described"),
    (AUTOMATON, 'start = "even"', "", 1, "start is missing"),
    (AUTOMATON, '["0", "1"]', '["0", "1", "0"]', 2, "a symbol twice"),
    (AUTOMATON, '["0", "1"]', '["0", "1", ".end"]', 2, "'.end'"),
    (AUTOMATON, '["0", "1"]', '["0", "1", "a b"]', 2, "'a b'"),
    (AUTOMATON, '["0", "1"]', '["0", 1]', 2, "not a string"),
    (AUTOMATON, '["0", "1"]', "[]", 2, "alphabet is empty"),
    (AUTOMATON, '["0", "1"]', '"01"', 2, "alphabet is '01'"),
    (AUTOMATON, '"automaton"', '"machine"', 1, "'machine' is not a kind"),
    (AUTOMATON, '"automaton"', '["automaton"]', 1, "['automaton'] is not a kind"),
    (AUTOMATON, 'stop = 0.5\n"0 -> even" = "1/4"', 'stop = 1e-9\n"0 -> even" = 0.749999999', 5, "more than 1,000,000"),
    (AUTOMATON, 'stop = 0.5\n"0 -> even" = "1/4"', 'stop = 1e-17\n"0 -> even" = 0.75', 5, "more than 1,000,000"),
    (AUTOMATON, "[states.odd]", "[staets.odd]", 10, "key 'staets' is unknown"),
    (AUTOMATON, "[states.odd]", "[states.odd", 10, "not TOML"),
    (AUTOMATON, "stop = 0.5", "stop = 0.5\nstop = 0.5", 7, "not TOML"),
    # A grammar
    (GRAMMAR, '"S + T" = 0.2', '"S - T" = 0.2', 9, "symbol '-' has no rules and is not in the alphabet"),
    (GRAMMAR, '"S + T" = 0.2', '"S  +  U" = 0.2', 9, "symbol 'U' has no rules"),
    (GRAMMAR, '"S + T" = 0.2', '"S + T" = 0.3', 8, "rules of 'S' sum to 1.1, not to 1"),
    (GRAMMAR, '"T" = 0.8', '"x" = 0.8\n[rules.U]\n"x" = 1', 11, "'U' cannot be reached from 'S'"),
    (GRAMMAR, '"S + T" = 0.2\n"T" = 0.8', '"S + S" = 0.5\n"T" = 0.5', 9, "grows endlessly"),
    (GRAMMAR, '"S + T" = 0.2\n"T" = 0.8', '"T" = 0.4\n"S + S" = 0.6', 10, "mean length is infinite"),
    (GRAMMAR, '"x" = 1', '"T x" = 1', 13, "grows endlessly"),
    (GRAMMAR, '"x" = 1', '"T x" = 0.9999999\n"x" = 1e-7', 12, "more than 1,000,000"),
    (GRAMMAR, '"x" = 1', '"T" = 1', 13, "grows endlessly"),
    (GRAMMAR, '"x" = 1', '"S" = 1', 9, "grows endlessly"),
    (GRAMMAR, '"x" = 1', "", 12, "'T' has no weights"),
    (GRAMMAR, 'start = "S"', 'start = "x"', 6, "start symbol 'x' has no rules"),
    (GRAMMAR, "[rules.T]", "[rules.x]", 12, "both in the alphabet and rewritten"),
    (GRAMMAR, 'start = "S"', 'start = "S"\nspelled = "yes"', 7, "spelled is 'yes'"),
    (GRAMMAR, '  "+",', '  "+", ".pad"', 2, "'.pad'"),
    (GRAMMAR, '"T" = 0.8', '"T" = 0.8\n"T" = 0.8', 11, "not TOML"),
    (GRAMMAR, '"x" = 1', '"x" = 1\nx =', 14, "not TOML"),
    (GRAMMAR, '"T" = 0.8', '"T" = 0.8\n"T " = 0.1', 10, "given twice"),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=[f"{mistake[3]}: {mistake[4]}" for mistake in MISTAKES])
def test_errors_name_the_line(tmp_path: Path, mistake: tuple[str, str, str, int, str]) -> None:
    text, old, new, line, problem = mistake
    assert text.count(old) >= 1
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(LanguageError, match=re.escape(problem)) as caught:
        language(str(path))
    assert caught.value.problem.startswith(f"{path}, line {line}: "), caught.value.problem
    assert caught.value.remedy


def test_the_unmodified_files_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(AUTOMATON, encoding="utf-8")
    even = from_file(path)
    assert even.name == "mine"
    assert even.next_symbol_distribution("0") == {"0": 0.25, "1": 0.25, END: 0.5}
    path.write_text(GRAMMAR, encoding="utf-8")
    assert from_file(path).log_prob("x+x+x") == pytest.approx(-3.4420193, abs=1e-6)  # log(0.2² · 0.8)


def test_unreadable_files_and_options_of_files_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(LanguageError, match="cannot be read"):
        language(str(tmp_path / "none.toml"))
    path = tmp_path / "latin.toml"
    path.write_bytes(b'kind = "grammar\xe9"')
    with pytest.raises(LanguageError, match="cannot be read"):
        language(str(path))
    with pytest.raises(LanguageError, match="has no options"):
        language(str(path), p=0.3)


def test_inline_and_dotted_tables(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    head = 'kind = "grammar"\nalphabet = ["x"]\nstart = "S"\n'
    path.write_text(head + 'rules = { S = { "x S" = 0.5, "" = 0.5 } }\n', encoding="utf-8")
    assert from_file(path).mean_tokens() == pytest.approx(2)
    path.write_text(head + 'rules.S."x S" = 0.5\nrules.S."" = 0.6\n', encoding="utf-8")
    with pytest.raises(LanguageError, match="line 4: "):
        from_file(path)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_examples_of_the_documentation(path: Path) -> None:
    example = language(str(path))
    strings = example.sample(50, random.Random(0))
    assert all(example.is_member(string) for string in strings)
    assert all(example.from_text(example.to_text(string)) == string for string in strings)
    assert 0 < example.floor_nats_per_token() < 2


def test_every_language_of_the_table_can_be_built() -> None:
    for name in LANGUAGES:
        assert language(name).alphabet


def test_the_example_of_an_automaton_equals_parity() -> None:
    mine, builtin = language(str(EXAMPLES / "even_ones.toml")), language("parity")
    assert mine.floor_nats_per_token() == pytest.approx(builtin.floor_nats_per_token())
    assert mine.log_prob("0110") == builtin.log_prob("0110")
