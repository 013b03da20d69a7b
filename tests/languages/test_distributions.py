"""Languages as distributions: sums, the chain rule, prefixes, samples, entropies, and the floors of the course."""

import math
import random
from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest
from brute_force import GRAMMARS, REFERENCE, automaton_probabilities, grammar_probabilities, strings, words_of
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import special, stats

from elman.errors import LanguageError
from elman.languages import END, LANGUAGES, Language, language
from elman.languages.grammar import Grammar
from elman.languages.regular import Automaton

Probabilities = Mapping[tuple[str, ...], float]
AMBIGUOUS = {  # two paths for "aa": through p and q, or p twice
    "p": [("a", "p", 0.3), ("a", "q", 0.2), ("b", "q", 0.1)],
    "q": [("a", "q", 0.1), ("b", "p", 0.5)],
}
STOPS = {"p": 0.4, "q": 0.4}


def probabilities_of(name: str, longest: int) -> Probabilities:
    """Return the probability of every string of a language up to a length, by brute force."""
    oracle, truth = language(name), REFERENCE[name]
    candidates = {tokens: truth.prob("".join(tokens)) for tokens in strings(oracle.alphabet, 100_000, longest)}
    return {tokens: p for tokens, p in candidates.items() if p > 0}


def check_prefixes(oracle: Language, probabilities: Probabilities, tail: float) -> None:
    """Check that next-symbol probabilities multiply to the mass of all strings with that prefix.

    ``tail`` is the mass of the strings that are not in ``probabilities``.
    """
    mass: dict[tuple[str, ...], float] = {}
    for tokens, p in probabilities.items():
        for i in range(len(tokens) + 1):
            mass[tokens[:i]] = mass.get(tokens[:i], 0.0) + p
    for tokens, p in probabilities.items():
        prob = 1.0
        for i, following in enumerate(oracle.distributions(tokens)):
            assert math.isclose(sum(following.values()), 1, rel_tol=1e-12)
            assert min(following.values()) >= 0
            assert set(following) == {*oracle.alphabet, END}
            assert mass[tokens[:i]] - 1e-14 <= prob * (1 + 1e-10)
            assert prob <= mass[tokens[:i]] * (1 + 1e-10) + tail
            prob *= following[tokens[i]] if i < len(tokens) else following[END]
        assert math.isclose(prob, p, rel_tol=1e-10)
        assert math.isclose(math.log(prob), oracle.log_prob(tokens), rel_tol=1e-10, abs_tol=1e-12)


def entropy_of(probabilities: Probabilities) -> float:
    return -math.fsum(p * math.log(p) for p in probabilities.values())


def conditioned(probabilities: Probabilities, longest: int) -> Probabilities:
    short = {tokens: p for tokens, p in probabilities.items() if len(tokens) <= longest}
    return {tokens: p / math.fsum(short.values()) for tokens, p in short.items()}


def check_limit(oracle: Language, probabilities: Probabilities, longest: int) -> None:
    """Check that a length limit divides the probabilities of short strings by their mass, and removes the others."""
    limited, truth = oracle.up_to(longest), conditioned(probabilities, longest)
    check_prefixes(limited, truth, tail=1e-14)
    for tokens in strings(oracle.alphabet, 3000, longest + 2):
        assert limited.in_support(tokens) == (tokens in truth)
        assert limited.is_member(tokens) == oracle.is_member(tokens)
    entropy = limited.entropy()
    if entropy.kind == "exact":
        assert math.isclose(entropy.nats_per_string, entropy_of(truth), rel_tol=1e-10, abs_tol=1e-12)
    else:
        low, high = entropy.interval
        margin = (high - low) / 2 + 1e-12  # twice the interval: 4 standard errors
        assert low - margin <= entropy_of(truth) <= high + margin
    mean = math.fsum(p * (len(tokens) + 1) for tokens, p in truth.items())
    assert math.isclose(limited.mean_tokens(), mean, rel_tol=1e-10)
    shortest = min(map(len, probabilities))
    with pytest.raises(LanguageError, match="No string"):
        oracle.up_to(shortest - 1)
    assert limited.up_to(longest + 5).mean_tokens() == limited.mean_tokens()


@pytest.mark.parametrize("name", REFERENCE)
def test_prefix_probabilities_and_length_limits(name: str) -> None:
    longest = {"ndfa": 10, "dyck2": 7, "anbncndn": 8, "anbmcnm": 8}.get(name, 9)
    oracle = language(name)
    probabilities = (
        probabilities_of(name, longest)
        if name != "ndfa"
        else {tuple(s): REFERENCE[name].prob(s) for s in ndfa_strings(2)}
    )
    check_prefixes(oracle, probabilities, tail=1 - math.fsum(probabilities.values()) + 1e-14)
    check_limit(oracle, probabilities, longest)
    check_limit(oracle, probabilities, longest - 3)


def ndfa_strings(most: int) -> list[str]:
    return ["ss", *("s" + word * k + "s" for word in ("abc!", "uvw!", "klm!") for k in range(1, most + 1))]


@pytest.mark.slow
@pytest.mark.parametrize("name", GRAMMARS)
def test_prefix_probabilities_and_length_limits_of_grammars(name: str) -> None:
    start, rules = GRAMMARS[name]
    grammar = Grammar(name, words_of(rules), start, rules)
    probabilities = grammar_probabilities(start, rules, 7)
    check_prefixes(grammar, probabilities, tail=1 - math.fsum(probabilities.values()) + 1e-14)
    check_limit(grammar, probabilities, 7)
    check_limit(grammar, probabilities, 4)


@pytest.mark.slow
def test_prefix_probabilities_and_length_limits_of_an_ambiguous_automaton() -> None:
    machine = Automaton("two-ways", "ab", "p", AMBIGUOUS, STOPS)
    assert not machine.unambiguous
    probabilities = automaton_probabilities("p", AMBIGUOUS, STOPS, 8)
    check_prefixes(machine, probabilities, tail=1 - math.fsum(probabilities.values()) + 1e-14)
    check_limit(machine, probabilities, 8)
    full = automaton_probabilities("p", AMBIGUOUS, STOPS, 13)
    low, high = machine.entropy().interval
    assert entropy_of(full) < high
    assert low < entropy_of(full) + 0.05  # the tail holds 6e-4 of the mass


@pytest.mark.parametrize("name", ["toy", "toy2"])
def test_next_character_probabilities_of_toy_multiply_to_the_string_probability(name: str) -> None:
    oracle, rng = language(name), random.Random(0)
    for sentence in oracle.sample(30, rng):
        steps = list(oracle.distributions(sentence))
        prob = math.fsum(math.log(step[symbol]) for step, symbol in zip(steps, [*sentence, END], strict=True))
        assert math.isclose(prob, oracle.log_prob(sentence), rel_tol=1e-12)
        assert all(math.isclose(sum(step.values()), 1, rel_tol=1e-12) for step in steps)


def test_spelled_grammar_equals_brute_force() -> None:
    """Words that are prefixes of each other: after ``a`` the word can be complete, or continue to ``an`` or ``and``."""
    from elman.languages.spelling import Spelled

    rules = {"S": {"W": 0.6, "S and S": 0.25, "": 0.15}, "W": {"a": 0.3, "an": 0.3, "and": 0.1, "b an": 0.3}}
    grammar = Grammar("prefixes", words_of(rules), "S", rules)
    words = grammar_probabilities("S", rules, 6)
    spelled = {tuple(" ".join(sentence)): p for sentence, p in words.items()}
    oracle = Spelled(grammar)
    short = {tokens: p for tokens, p in spelled.items() if len(tokens) <= 11}
    check_prefixes(oracle, short, tail=1 - math.fsum(short.values()) + 1e-14)
    check_limit(oracle, spelled, 11)
    check_limit(oracle, spelled, 4)
    check_limit(oracle, spelled, 0)


def test_toy_with_a_limit_on_characters() -> None:
    oracle, rng = language("toy").up_to(40), random.Random(0)
    drawn = oracle.sample(4000, rng)
    assert max(map(len, drawn)) <= 40
    mean, error = np.mean([len(s) + 1 for s in drawn]), stats.sem([len(s) for s in drawn])
    assert abs(mean - oracle.mean_tokens()) < 4 * error
    for sentence in drawn[:20]:
        steps = oracle.distributions(sentence)
        prob = math.fsum(math.log(step[symbol]) for step, symbol in zip(steps, [*sentence, END], strict=True))
        assert math.isclose(prob, oracle.log_prob(sentence), rel_tol=1e-11)
    assert oracle.next_symbol_distribution("the quick businessman"[:9]).keys() == {*oracle.alphabet, END}


def test_symbols_that_exceed_the_limit_have_probability_zero() -> None:
    following = language("brackets").up_to(2000).next_symbol_distribution("(" * 1000)
    assert following == pytest.approx({"(": 0.0, ")": 1.0, END: 0.0}, abs=1e-12)
    following = language("dyck2").up_to(3001).next_symbol_distribution("(" * 1499)
    assert following["("] == following["["] > 0
    assert following["]"] == 0


SAMPLED = [name for name in LANGUAGES if name != "dyck"]


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLED)
def test_samples_follow_the_probabilities(name: str) -> None:
    oracle, n = language(name), 8000
    check_samples(oracle, oracle.sample(n, random.Random(11)))


@pytest.mark.parametrize(("name", "limit"), [("brackets", 10), ("dyck2", 6), ("ndfa", 10), ("tomita3", 7), ("toy", 20)])
def test_limited_samples_follow_the_probabilities(name: str, limit: int) -> None:
    oracle = language(name).up_to(limit)
    check_samples(oracle, oracle.sample(4000, random.Random(12)))


def test_sampling_under_a_limit_that_few_strings_meet() -> None:
    grammar = Grammar("rare", ["a", "b"], "S", {"S": {"a a a a T": 0.995, "a": 0.002, "b": 0.003}, "T": {"a": 1.0}})
    limited = grammar.up_to(2)
    check_samples(limited, limited.sample(2000, random.Random(13)))


def check_samples(oracle: Language, drawn: list) -> None:
    """Do a chi-square test over the strings that are expected at least five times, all others in one class."""
    counts = Counter(drawn)
    expected = {s: len(drawn) * math.exp(oracle.log_prob(s)) for s in counts}
    assert min(expected.values()) > 0
    often = [s for s, e in expected.items() if e >= 5]
    rest = len(drawn) - math.fsum(expected[s] for s in often)
    observed = [*(counts[s] for s in often), len(drawn) - sum(counts[s] for s in often)]
    frequencies = [*(expected[s] for s in often), rest]
    if rest < 1:
        assert observed.pop() <= 10
        frequencies.pop()
        frequencies = [e * sum(observed) / sum(frequencies) for e in frequencies]
    if len(frequencies) > 1:
        assert stats.chisquare(observed, frequencies).pvalue > 1e-5
    lengths = [len(s) + 1 for s in drawn]
    assert abs(np.mean(lengths) - oracle.mean_tokens()) < 5 * stats.sem(lengths) + 1e-9
    assert set().union(*counts) <= set(oracle.alphabet)


def test_samples_depend_only_on_the_given_generator() -> None:
    state = random.getstate()
    for name in SAMPLED:
        oracle = language(name)
        assert oracle.sample(20, random.Random(4)) == oracle.sample(20, random.Random(4))
    assert random.getstate() == state


@pytest.mark.parametrize(
    ("name", "bits", "tokens", "nats"),
    [("ndfa", 4.4338, 15, 0.20489), ("brackets", 7.9096, 10, 0.54825), ("dyck1", 2.5 * 0.8812909, 2.5, 0.610864)],
)
def test_floors_equal_those_of_the_course(name: str, bits: float, tokens: float, nats: float) -> None:
    oracle = language(name)
    assert oracle.entropy().kind == "exact"
    assert oracle.entropy().bits_per_string == pytest.approx(bits, abs=5e-5)
    assert oracle.mean_tokens() == pytest.approx(tokens, rel=1e-12)
    assert oracle.floor_nats_per_token() == pytest.approx(nats, abs=5e-6)


def test_an_estimated_entropy_is_never_negative() -> None:
    """The language has a single string with many derivations, whose entropy is two bits."""
    entropy = Grammar("one", ["x"], "T", {"T": {"T": 0.5, "x": 0.5}}).entropy()
    low, high = entropy.interval
    assert 0 == low <= entropy.nats_per_string <= high < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("p", [0.4, 0.48])
def test_estimate_covers_the_entropy_of_a_very_ambiguous_grammar(p: float) -> None:
    """A string of n letters has one derivation for each binary tree with n leaves, all of equal probability."""
    entropy = Grammar("trees", ["a"], "S", {"S": {"S S": p, "a": 1 - p}}).entropy()
    n = np.arange(1, 100_000)
    trees = special.gammaln(2 * n - 1) - special.gammaln(n) - special.gammaln(n + 1)
    log_probs = trees + (n - 1) * math.log(p) + n * math.log(1 - p)
    low, high = entropy.interval
    margin = (high - low) / 2  # twice the interval: 4 standard errors
    assert low - margin < -(np.exp(log_probs) @ log_probs) < high + margin
    assert high - low < 0.04 * low


@pytest.mark.slow
@pytest.mark.parametrize(("version", "bits"), [(1, 25.656), (2, 30.411)])
def test_floor_of_toy_is_an_estimate_below_the_entropy_of_derivations(version: int, bits: float) -> None:
    words, characters = language("toy-words", version=version), language("toy", version=version)
    assert words.derivation_entropy() / math.log(2) == pytest.approx(bits, abs=5e-4)
    entropy = characters.entropy()
    assert entropy.kind == "estimate"
    low, high = entropy.interval
    assert low < entropy.nats_per_string < high < words.derivation_entropy()
    assert high - low < 0.001 * low
    # The plain mean of -log p, of other strings, agrees within its own, wider error.
    plain = [-words.log_prob(s) for s in words.sample(3000, random.Random(9))]
    assert abs(np.mean(plain) - entropy.nats_per_string) < 4 * stats.sem(plain)
    assert characters.floor_nats_per_token() == entropy.nats_per_string / characters.mean_tokens()


EXACT = [name for name in REFERENCE if language(name).entropy().kind == "exact"]


@pytest.mark.parametrize("name", EXACT)
def test_a_very_high_limit_changes_neither_entropy_nor_length(name: str) -> None:
    """Under a limit, entropy and length are computed by enumeration; a limit that no string exceeds changes neither."""
    oracle = language(name)
    limited = oracle.up_to(2000)
    assert limited.entropy().nats_per_string == pytest.approx(oracle.entropy().nats_per_string, rel=1e-7)
    assert limited.mean_tokens() == pytest.approx(oracle.mean_tokens(), rel=1e-6)


def test_ll1_grammars_have_an_exact_entropy() -> None:
    grammar = Grammar("dyck", ["(", ")"], "S", {"S": {"( S ) S": 0.3, "": 0.7}})
    assert grammar.unambiguous
    assert grammar.entropy().kind == "exact"
    assert grammar.entropy().nats_per_string == pytest.approx(language("dyck1").entropy().nats_per_string)
    assert grammar.mean_tokens() == pytest.approx(2.5)
    assert not language("toy-words").unambiguous


def test_the_error_for_an_unknown_symbol_lists_the_alphabet() -> None:
    for name in ("brackets", "toy", "parity"):
        with pytest.raises(LanguageError, match=r"Use these: '[( 0]'"):
            language(name).next_symbol_distribution("?")
        assert not language(name).is_member("?")
        assert language(name).log_prob("?") == -math.inf
    with pytest.raises(LanguageError, match="'quickly'"):
        language("toy-words").next_symbol_distribution(["quikly"])


def test_an_impossible_prefix_is_rejected() -> None:
    for name, prefix in [("brackets", "()("), ("toy", "a cat a"), ("ndfa", "sb"), ("toy", "a  "), ("anbn", "aba")]:
        with pytest.raises(LanguageError, match="No string of"):
            language(name).next_symbol_distribution(prefix)


@pytest.mark.parametrize("name", ["anbn", "anbncn", "anbncndn:p=0.3"])
def test_closed_form_of_equal_blocks_equals_step_by_step(name: str) -> None:
    blocks = len(language(name).alphabet)
    for blocks_language in (language(name), language(name).up_to(7 * blocks + 1)):
        for n in range(1, 8):
            whole = "".join(symbol * n for symbol in blocks_language.alphabet)
            for tokens in (whole, whole[:-1], whole[: n + 1]):
                np.testing.assert_array_equal(
                    blocks_language.distribution_matrix(tokens), Language.distribution_matrix(blocks_language, tokens)
                )
    with pytest.raises(LanguageError, match="can produce"):
        language(name).up_to(7 * blocks).distribution_matrix("".join(symbol * 8 for symbol in blocks_language.alphabet))
    with pytest.raises(LanguageError, match="can produce"):
        blocks_language.distribution_matrix("ba")


def test_distribution_matrix_has_the_end_in_its_last_column() -> None:
    matrix = language("brackets").distribution_matrix("()")
    assert matrix.tolist() == [[1, 0, 0], [7 / 16, 9 / 16, 0], [0, 0, 1]]


def test_readers_do_not_change_when_they_read() -> None:
    start = language("brackets").reader()
    one = start.read("(")
    assert one is not None
    two = one.read("(")
    assert two is not None
    assert one.distribution() == two.distribution()
    assert start.distribution()["("] == 1
    assert start.read(")") is None


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dyck", {"p": 0.5}),
        ("dyck", {"k": 0}),
        ("anbn", {"p": 1.0}),
        ("toy", {"version": 3}),
        ("tomita1", {"stop": 0.0}),
        ("ndfa", {"p": 0.5}),
        ("french", {}),
    ],
)
def test_impossible_options_are_rejected(name: str, options: dict) -> None:
    with pytest.raises(LanguageError):
        language(name, **options)


@st.composite
def grammars(draw: st.DrawFn) -> dict[str, dict[str, float]]:
    """Draw rules over S, T and a, b; they can be empty, chained, left-recursive and ambiguous."""
    rules = {}
    for left in ("S", "T"):
        rights = draw(st.lists(st.lists(st.sampled_from("STab"), max_size=3), min_size=1, max_size=4))
        names = sorted({" ".join(right) for right in rights})
        weights = [draw(st.integers(1, 9)) for _ in names]
        rules[left] = {name: weight / sum(weights) for name, weight in zip(names, weights, strict=True)}
    return rules


@pytest.mark.slow
@given(grammars())
@settings(max_examples=80)
def test_random_grammars_equal_brute_force(rules: dict[str, dict[str, float]]) -> None:
    try:
        grammar = Grammar("random", ["a", "b"], "S", rules)
    except LanguageError:
        assume(False)
    assume(max(grammar.counts.values()) < 20)  # nearer to an infinite mean the brute force takes for ever
    probabilities = grammar_probabilities("S", rules, 4)
    for tokens in strings("ab", 40):
        p = probabilities.get(tokens, 0.0)
        assert math.exp(grammar.log_prob(tokens)) == pytest.approx(p, rel=1e-9), tokens
        assert grammar.in_support(tokens) == (p > 0), tokens
    if probabilities:
        check_prefixes(grammar, probabilities, tail=1 - math.fsum(probabilities.values()) + 1e-13)
        limited, truth = grammar.up_to(4), conditioned(probabilities, 4)
        check_prefixes(limited, truth, tail=1e-13)
        if grammar.unambiguous:
            assert limited.entropy().kind == "exact"
            assert limited.entropy().nats_per_string == pytest.approx(entropy_of(truth), rel=1e-9, abs=1e-12)


@st.composite
def automata(draw: st.DrawFn) -> tuple[dict, dict]:
    """Draw arcs over a and b between the states p, q and r."""
    arcs, stops = {}, {}
    for state in "pqr":
        ways = draw(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("pqr")), max_size=4, unique=True))
        stop = draw(st.integers(0 if ways else 1, 5))
        weights = [draw(st.integers(1, 5)) for _ in ways]
        total = sum(weights) + stop
        arcs[state] = [(a, target, w / total) for (a, target), w in zip(ways, weights, strict=True)]
        stops[state] = stop / total
    return arcs, stops


@pytest.mark.slow
@given(automata())
@settings(max_examples=80)
def test_random_automata_equal_brute_force(drawn: tuple[dict, dict]) -> None:
    arcs, stops = drawn
    try:
        machine = Automaton("random", "ab", "p", arcs, stops)
    except LanguageError:
        assume(False)
    probabilities = automaton_probabilities("p", arcs, stops, 5)
    for tokens in strings("ab", 63):
        assert math.exp(machine.log_prob(tokens)) == pytest.approx(probabilities.get(tokens, 0.0), rel=1e-10)
    check_prefixes(machine, probabilities, tail=1 - math.fsum(probabilities.values()) + 1e-13)
    assume(probabilities)
    check_prefixes(machine.up_to(5), conditioned(probabilities, 5), tail=1e-13)
    paths = Counter(tokens for tokens in probabilities for _ in range(count_paths(arcs, stops, tokens)))
    if machine.unambiguous:
        assert set(paths.values()) <= {1}


def count_paths(arcs: dict, stops: dict, tokens: tuple[str, ...]) -> int:
    states = ["p"]
    for symbol in tokens:
        states = [target for state in states for a, target, _ in arcs[state] if a == symbol]
    return sum(stops[state] > 0 for state in states)
