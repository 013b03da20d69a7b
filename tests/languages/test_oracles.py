"""Every oracle and probability against brute force, on every short string and on edited long ones."""

import math
import random
from collections import Counter

import numpy as np
import pytest
from brute_force import GRAMMARS, REFERENCE, grammar_probabilities, inside, strings, words_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from elman.errors import LanguageError
from elman.languages import END, Language, language
from elman.languages.grammar import Grammar
from elman.languages.toy import RULES

MOST, LONGEST = 100_000, 14  # strings of a language, symbols of a string
NEAR = 1e-12


def same(log_prob: float, prob: float) -> bool:
    return log_prob == -math.inf if prob == 0 else math.isclose(log_prob, math.log(prob), rel_tol=1e-11, abs_tol=NEAR)


@pytest.mark.slow
@pytest.mark.parametrize("name", REFERENCE)
def test_every_short_string_equals_brute_force(name: str) -> None:
    oracle, truth = language(name), REFERENCE[name]
    for tokens in strings(oracle.alphabet, MOST, LONGEST):
        string = "".join(tokens)
        prob = truth.prob(string)
        assert same(oracle.log_prob(string), prob), string
        assert oracle.is_member(string) == truth.member(string), string
        assert oracle.in_support(string) == (prob > 0), string


@pytest.mark.slow
@pytest.mark.parametrize("name", GRAMMARS)
def test_every_short_string_of_a_grammar_equals_brute_force(name: str) -> None:
    start, rules = GRAMMARS[name]
    grammar = Grammar(name, words_of(rules), start, rules)
    checked = list(strings(grammar.alphabet, 20_000, LONGEST))
    probabilities = grammar_probabilities(start, rules, len(checked[-1]))
    assert set(probabilities) <= set(checked)
    for tokens in checked:
        assert same(grammar.log_prob(tokens), probabilities.get(tokens, 0.0)), tokens
        assert grammar.is_member(tokens) == (tokens in probabilities)


@pytest.mark.parametrize("name", GRAMMARS)
def test_every_derivable_string_of_a_grammar_equals_brute_force(name: str) -> None:
    """Derivable strings can be enumerated to a greater length than all strings over the alphabet."""
    start, rules = GRAMMARS[name]
    grammar = Grammar(name, words_of(rules), start, rules)
    for tokens, prob in grammar_probabilities(start, rules, 9).items():
        assert same(grammar.log_prob(tokens), prob), tokens


def test_toy_equals_brute_force_on_every_string_of_three_words() -> None:
    """Over the whole vocabulary, 2 · 7 · 6 strings of three words are sentences."""
    toy = language("toy-words")
    probabilities = grammar_probabilities(
        "_s", {left: dict.fromkeys(ways, 1 / len(ways)) for left, ways in RULES.items()}, 3
    )
    assert len(probabilities) == 2 * 7 * 6
    for tokens in strings(toy.alphabet, MOST):
        assert same(toy.log_prob(tokens), probabilities.get(tokens, 0.0))


def edited(tokens: list[str], alphabet: tuple[str, ...], rng: random.Random) -> list[str]:
    """Return the tokens after one to three random deletions, insertions, replacements or swaps."""
    tokens = list(tokens)
    for _ in range(rng.randint(1, 3)):
        i = rng.randrange(len(tokens) + 1)
        edit = rng.randrange(4)
        if edit == 0:
            tokens[i : i + 1] = []
        elif edit == 1:
            tokens.insert(i, rng.choice(alphabet))
        elif edit == 2:
            tokens[i : i + 1] = [rng.choice(alphabet)]
        else:
            tokens[i : i + 2] = tokens[i : i + 2][::-1]
    return tokens


@pytest.mark.parametrize("name", REFERENCE)
def test_edited_long_strings_equal_brute_force(name: str) -> None:
    oracle, truth, rng = language(name), REFERENCE[name], random.Random(1)
    long = sorted(oracle.sample(500, rng), key=len)[-30:]
    for string in long:
        assert oracle.in_support(string)
        for _ in range(15):
            text = "".join(edited(list(string), oracle.alphabet, rng))
            assert same(oracle.log_prob(text), truth.prob(text)), text
            assert oracle.is_member(text) == truth.member(text), text


@pytest.mark.slow
@pytest.mark.parametrize("version", [1, 2])
def test_edited_long_sentences_of_toy_equal_brute_force(version: int) -> None:
    toy, rng = language("toy-words", version=version), random.Random(2)
    rules = {left: {" ".join(r.right): r.probability for r in ways} for left, ways in toy.rules.items()}
    for sentence in sorted(toy.sample(150, rng), key=len)[-25:-10]:
        for words in (list(sentence), *(edited(list(sentence), toy.alphabet, rng) for _ in range(5))):
            prob = inside(rules, "_s", words)
            assert same(toy.log_prob(words), prob), words
            assert toy.is_member(words) == (prob > 0)


def test_toy_by_characters_equals_toy_by_words() -> None:
    toy, words, rng = language("toy"), language("toy-words"), random.Random(3)
    for string in toy.sample(200, rng):
        assert toy.log_prob(string) == words.log_prob(string.split())
        text = "".join(edited(list(string), toy.alphabet, rng))
        spelled = text == " ".join(text.split())
        assert toy.is_member(text) == (spelled and words.is_member(text.split())), text


def test_a_sentence_with_one_wrong_character_is_ungrammatical() -> None:
    toy = language("toy")
    assert toy.is_member("a cat ran")
    for text in ("a cat ran ", " a cat ran", "a  cat ran", "acat ran", "a cat", "a cat rann", "", " ", "A cat ran"):
        assert not toy.is_member(text), text
        assert toy.log_prob(text) == -math.inf


def test_brackets_has_three_tests() -> None:
    brackets = language("brackets")
    assert brackets.judge("(())") == {"grammatical": True, "in_support": True, "equal_counts": True}
    assert brackets.judge("()()") == {"grammatical": True, "in_support": False, "equal_counts": True}
    assert brackets.judge(")(") == {"grammatical": False, "in_support": False, "equal_counts": True}
    assert brackets.judge("(()") == {"grammatical": False, "in_support": False, "equal_counts": False}
    assert brackets.judge("(a)")["equal_counts"] is False


@given(st.text(alphabet="([])x", max_size=60))
@settings(max_examples=300)
def test_membership_in_dyck_2_equals_brute_force(text: str) -> None:
    oracle: Language = language("dyck2")
    assert oracle.is_member(text) == REFERENCE["dyck2"].member(text)
    assert oracle.in_support(text) == oracle.is_member(text)


@pytest.mark.parametrize(
    ("name", "string", "log_prob"),
    [
        ("ndfa", "s" + "klm!" * 5000 + "s", math.log(1 / 12) + 5000 * math.log(3 / 4)),
        ("brackets", "(" * 3000 + ")" * 3000, 2999 * math.log(7 / 16) + 3000 * math.log(9 / 16)),
        ("dyck2", "([" * 1500 + "])" * 1500, 3000 * math.log(0.15) + 3001 * math.log(0.7)),
        ("anbn", "a" * 20_000 + "b" * 20_000, math.log(0.1) + 19_999 * math.log(0.9)),
        ("parity", "01" * 10_000, 10_000 * math.log(0.45) + 10_000 * math.log(0.5) + math.log(0.1)),
    ],
)
def test_long_strings_do_not_underflow(name: str, string: str, log_prob: float) -> None:
    assert math.isclose(language(name).log_prob(string), log_prob, rel_tol=1e-10)


EXAMPLES = [  # the probabilities that the docstrings work out
    ("ndfa", "ss", 1 / 4),
    ("ndfa", "sabc!s", 1 / 16),
    ("brackets", "()", 9 / 16),
    ("brackets", "(())", 7 / 16 * (9 / 16) ** 2),
    ("dyck1", "", 0.7),
    ("dyck1", "()", 0.3 * 0.7**2),
    ("dyck1", "()()", 0.3**2 * 0.7**3),
    ("dyck1", "(())", 0.3**2 * 0.7**3),
    ("anbn", "ab", 0.1),
    ("anbn", "aabb", 0.09),
    ("anbmcnm", "abcc", 0.04),
    ("anbmcnm", "aabccc", 0.8 * 0.04),
    ("anbmcnm", "abbccc", 0.8 * 0.04),
    ("tomita1", "111", 0.9**3 * 0.1),
    ("parity", "", 0.1),
    ("parity", "11", 0.45 * 0.5 * 0.1),
    ("toy", "a cat ran", 1 / 1008),
]


@pytest.mark.parametrize(("name", "string", "prob"), EXAMPLES)
def test_examples_of_the_docstrings(name: str, string: str, prob: float) -> None:
    assert math.isclose(math.exp(language(name).log_prob(string)), prob, rel_tol=1e-12)


def test_probability_of_an_ambiguous_sum_is_that_of_both_derivations() -> None:
    grammar = Grammar("sums", ["x", "+"], "S", {"S": {"S + S": 0.2, "x": 0.8}})
    assert math.isclose(math.exp(grammar.log_prob("x+x+x")), 2 * 0.2**2 * 0.8**3)


def test_clearing_the_cached_columns_does_not_change_probabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = language("toy-words")
    sentences = toy.sample(50, random.Random(8))
    before = [toy.log_prob(sentence) for sentence in sentences]
    monkeypatch.setattr("elman.languages.chart.CACHED_FLOATS", 1000)
    forgetful = language("toy-words")
    assert [forgetful.log_prob(sentence) for sentence in sentences] == before


def test_a_long_sentence_does_not_underflow() -> None:
    grammar = Grammar("chain", ["a", "b"], "S", {"S": {"a S": 0.01, "b": 0.99}})
    assert math.isclose(grammar.log_prob("a" * 300 + "b"), 300 * math.log(0.01) + math.log(0.99), rel_tol=1e-12)
    after = grammar.next_symbol_distribution("a" * 300)
    assert after == pytest.approx({"a": 0.01, "b": 0.99, END: 0.0}, abs=1e-12)


def test_impossible_symbols_of_a_prefix_do_not_overflow() -> None:
    """Under B every one of the 200 words would be 500 times as likely, but a B occurs only after a b."""
    rules = {"S": {"b B": 0.5, "a S": 0.001, "c": 0.499}, "B": {"a B": 0.5, "a": 0.5}}
    grammar = Grammar("unlikely", ["a", "b", "c"], "S", rules)
    assert math.isclose(grammar.log_prob("a" * 200 + "c"), 200 * math.log(0.001) + math.log(0.499), rel_tol=1e-12)
    assert math.isclose(grammar.log_prob("b" + "a" * 200), 201 * math.log(0.5), rel_tol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", REFERENCE)
def test_strings_of_a_length_are_drawn_by_their_probability(name: str) -> None:
    oracle, prob = language(name), REFERENCE[name].prob
    by_length: dict[int, dict[str, float]] = {}
    longest = 0
    for tokens in strings(oracle.alphabet, 40_000):
        longest = len(tokens)
        if (p := prob("".join(tokens))) > 0:
            by_length.setdefault(len(tokens), {})["".join(tokens)] = p
    length, likely = max(by_length.items(), key=lambda item: (len(item[1]) <= 150, item[0]))
    drawn = Counter(map(str, oracle.sample_of_length(5_000, length, random.Random(0))))
    assert set(drawn) <= set(likely)
    often = [string for string, p in likely.items() if 5_000 * p / sum(likely.values()) >= 5]
    expected = np.array([likely[string] for string in often]) / sum(likely.values()) * 5_000
    if len(often) > 1:
        assert chisquare([drawn[string] for string in often], expected, sum_check=False).pvalue > 1e-3
    limited = oracle.up_to(length)
    assert set(map(str, limited.sample_of_length(50, length, random.Random(1)))) <= set(likely)
    for missing in {*range(longest + 1)} - set(by_length):
        with pytest.raises(LanguageError, match="No string"):
            oracle.sample_of_length(1, missing, random.Random(0))


def test_sample_of_length_6000() -> None:
    for name in ("brackets", "dyck:k=2,p=0.4", "tomita5", "anbncn", "anbmcnm"):
        [string] = language(name).sample_of_length(1, 6_000, random.Random(0))
        assert len(string) == 6_000
        assert language(name).is_member(string)


@pytest.mark.parametrize("name", [*REFERENCE, "toy", "toy-words", "toy2", "toy2-words"])
def test_results_are_python_floats_and_bools(name: str) -> None:
    """Results must be Python numbers, so that they can be counted and written as JSON."""
    oracle = language(name)
    for string in (oracle.sample(1, random.Random(0))[0], [oracle.alphabet[0]] * 3):
        assert type(oracle.log_prob(string)) is float
        assert {type(answer) for answer in oracle.judge(string).values()} == {bool}


def test_sample_of_length_is_rejected_for_grammars() -> None:
    with pytest.raises(LanguageError, match="given length"):
        language("toy").sample_of_length(1, 14, random.Random(0))


@pytest.mark.parametrize("name", ["brackets", "dyck2"])
def test_nested_returns_brackets_of_the_given_depth(name: str) -> None:
    oracle = language(name)
    string = oracle.nested(30, random.Random(0))
    assert oracle.in_support(string)
    assert len(set(string[:30])) == len(oracle.alphabet) // 2
    assert all(opens in "([" for opens in string[:30])
