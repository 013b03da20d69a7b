"""Intervals and tests are checked against definitions, published examples, SciPy and their coverage."""

import itertools
import math
from fractions import Fraction
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.stats import multinomial, nct, ttest_ind, ttest_rel
from scipy.stats import t as student

from elman.errors import ConfigError
from elman.statistics import (
    comparison,
    holm,
    mcnemar,
    mcnemar_power,
    paired_bootstrap,
    paired_over_seeds,
    smallest_detectable_difference,
    smallest_difference_by_student,
    student_power,
    welch_over_seeds,
)

ANSWERS = st.integers(1, 60).flatmap(
    lambda n: st.tuples(*(st.lists(st.booleans(), min_size=n, max_size=n).map(np.array) for _ in range(2)))
)
SHARES = st.lists(st.floats(0, 1), min_size=2, max_size=8)


def answers(both: int, only_first: int, only_second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    first = [True] * both + [True] * only_first + [False] * only_second + [False] * neither
    second = [True] * both + [False] * only_first + [True] * only_second + [False] * neither
    return np.array(first), np.array(second)


def test_mcnemar_equals_the_sum_of_binomials() -> None:
    for only_first, only_second in itertools.product(range(9), repeat=2):
        counts = mcnemar(*answers(5, only_first, only_second, 3))
        n = only_first + only_second
        at_most = sum(math.comb(n, k) for k in range(min(only_first, only_second) + 1))
        assert counts.difference.p == pytest.approx(float(min(Fraction(1), Fraction(2 * at_most, 2**n))))
        assert (counts.only_first, counts.only_second, counts.texts) == (only_first, only_second, n + 8)


def test_mcnemar_on_a_published_table() -> None:
    """Approval in two surveys (Agresti, Categorical Data Analysis, 2002, section 10.1): 0.04 (0.02 to 0.06), z = 4.17.

    The exact p-value is a little above that of z, as an exact one is.
    """
    counts = mcnemar(*answers(794, 150, 86, 570))
    assert counts.difference.value == pytest.approx(0.04)
    assert (counts.difference.low, counts.difference.high) == pytest.approx((0.02, 0.06), abs=0.005)
    assert 1 < counts.difference.p / (2 * NormalDist().cdf(-4.17)) < 1.3


@given(ANSWERS)
def test_mcnemar_with_swapped_models_changes_the_sign(pair: tuple[np.ndarray, np.ndarray]) -> None:
    counts, swapped = mcnemar(*pair), mcnemar(*reversed(pair))
    assert swapped.difference[:4] == pytest.approx(
        (-counts.difference.value, -counts.difference.high, -counts.difference.low, counts.difference.p)
    )
    assert counts.difference.low <= counts.difference.value <= counts.difference.high
    assert 0 < counts.difference.p <= 1
    assert counts.difference.value == pytest.approx(pair[0].mean() - pair[1].mean())


@pytest.mark.slow
def test_mcnemar_interval_coverage_and_false_positive_rate() -> None:
    chance = np.random.default_rng(0)
    shares, draws = [0.8, 0.08, 0.05, 0.07], 2_000
    differences = [mcnemar(*answers(*row)).difference for row in chance.multinomial(200, shares, size=draws)]
    covered = [difference.low <= 0.03 <= difference.high for difference in differences]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)
    equal = [
        mcnemar(*answers(*row)).difference.p for row in chance.multinomial(200, [0.8, 0.06, 0.06, 0.08], size=draws)
    ]
    assert np.mean(np.array(equal) <= 0.05) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / draws)


def every_resample(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the mean difference of every equally likely resample of seeds and texts."""

    def drawn(scores: np.ndarray) -> list[np.ndarray]:
        seeds = len(scores)
        return [scores[list(rows)].mean(axis=0) for rows in itertools.product(range(seeds), repeat=max(seeds - 1, 1))]

    texts = list(itertools.product(range(first.shape[1]), repeat=first.shape[1]))
    return np.array([(a - b)[list(columns)].mean() for a in drawn(first) for b in drawn(second) for columns in texts])


def test_bootstrap_equals_the_enumeration_of_all_resamples() -> None:
    chance = np.random.default_rng(1)
    first, second = chance.normal(size=(3, 4)) + 0.5, chance.normal(size=(2, 4))
    exact = every_resample(first, second)
    difference = paired_bootstrap(first, second, seed=5, resamples=40_000)
    parts = [first.mean(axis=1), second.mean(axis=1), first.mean(axis=0) - second.mean(axis=0)]
    variances = [part.var(ddof=1) / len(part) for part in parts]
    freedom = sum(variances) ** 2 / sum(v**2 / (len(part) - 1) for v, part in zip(variances, parts, strict=True))
    margin = student.ppf(0.975, freedom) * exact.std()
    assert (difference.low, difference.high) == pytest.approx(
        (difference.value - margin, difference.value + margin), abs=0.02
    )
    assert difference.p == pytest.approx(2 * student.sf(abs(difference.value) / exact.std(), freedom), abs=0.01)
    assert difference.value == pytest.approx(first.mean() - second.mean())


def test_bootstrap_depends_on_the_seed_and_not_on_the_chunk_size(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(2)
    first, second = chance.random((3, 50)) < 0.9, chance.random((4, 50)) < 0.8
    one = paired_bootstrap(first, second, seed=1, resamples=500)
    assert paired_bootstrap(first, second, seed=1, resamples=500) == one
    assert paired_bootstrap(first, second, seed=2, resamples=500) != one
    monkeypatch.setattr(comparison, "AT_ONCE", 70)  # one row at a time
    assert paired_bootstrap(first, second, seed=1, resamples=500) == pytest.approx(one, abs=0.03)


def test_bootstrap_with_swapped_models_changes_the_sign() -> None:
    chance = np.random.default_rng(3)
    first, second = chance.random((5, 300)) < 0.9, chance.random((5, 300)) < 0.8
    difference, swapped = paired_bootstrap(first, second), paired_bootstrap(second, first)
    assert swapped[:4] == pytest.approx((-difference.value, -difference.high, -difference.low, difference.p), abs=0.004)


def test_bootstrap_of_a_model_against_itself_is_zero() -> None:
    same = np.random.default_rng(4).random((1, 40)) < 0.9
    assert paired_bootstrap(same, same, resamples=200)[:4] == (0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("seeds", [3, 8])
def test_bootstrap_interval_covers_other_seeds_and_texts(seeds: int) -> None:
    """The scores vary by text, model and text, seed, and seed and text; the models are equally good."""
    draws, hits, hits_of_welch = 250, 0, 0
    for draw in range(draws):
        chance = np.random.default_rng((seeds, draw))
        difficulty = 1.6 + chance.normal(size=300)
        first, second = (
            difficulty
            + 0.4 * chance.normal(size=300)
            + 0.1 * chance.normal(size=(seeds, 1))
            + 0.4 * chance.normal(size=(seeds, 300))
            > 0
            for _ in range(2)
        )
        difference = paired_bootstrap(first, second, seed=draw, resamples=300)
        hits += difference.low <= 0 <= difference.high
        over_seeds = welch_over_seeds(first.mean(axis=1).tolist(), second.mean(axis=1).tolist())
        hits_of_welch += over_seeds.low <= 0 <= over_seeds.high
    assert hits / draws >= 0.93
    assert hits_of_welch < hits  # Welch's interval covers other seeds only


@pytest.mark.slow
def test_bootstrap_false_positive_rate_in_the_far_tail_with_few_seeds() -> None:
    """Holm's correction uses the far tail; the plain resamples give p < 0.05 / 15 in 1.3% of such draws."""
    draws, errors = 1_500, 0
    for draw in range(draws):
        chance = np.random.default_rng(draw)
        first, second = (1.2 + chance.normal(size=100) + chance.normal(size=(5, 1)) > 0 for _ in range(2))
        errors += paired_bootstrap(first, second, seed=draw, resamples=200).p <= 0.05 / 15
    assert errors / draws <= 0.05 / 15 + 3 * math.sqrt(0.05 / 15 / draws)


def test_student_sleep_data() -> None:
    """Hours of sleep gained by two drugs, the data of Student (1908): paired t = −4.0621, p = 0.002833 (R's t.test)."""
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    paired = paired_over_seeds(first, second)
    assert paired[:4] == pytest.approx((-1.58, -2.4598858, -0.7001142, 0.002833), abs=1e-6)
    welch = welch_over_seeds(first, second)
    assert welch[:4] == pytest.approx((-1.58, -3.3654832, 0.2054832, 0.07939), abs=1e-5)


@given(SHARES, SHARES)
@example([0.0, 0.0], [0.0, 6.6e-98])  # the square of the variance underflows
def test_welch_equals_scipy_and_swapped_models_change_the_sign(first: list[float], second: list[float]) -> None:
    difference, swapped = welch_over_seeds(first, second), welch_over_seeds(second, first)
    assert swapped[:4] == pytest.approx((-difference.value, -difference.high, -difference.low, difference.p))
    if min(np.std(first), np.std(second)) > 1e-6:  # SciPy warns about smaller spreads
        reference = ttest_ind(first, second, equal_var=False)
        assert difference.p == pytest.approx(reference.pvalue, abs=1e-9)
        assert (difference.low, difference.high) == pytest.approx(tuple(reference.confidence_interval(0.95)), abs=1e-9)


def test_paired_over_seeds_equals_scipy() -> None:
    chance = np.random.default_rng(5)
    for _ in range(20):
        first, second = chance.normal(size=(2, 6))
        reference = ttest_rel(first, second)
        difference = paired_over_seeds(first, second)
        assert difference.p == pytest.approx(reference.pvalue)
        assert (difference.low, difference.high) == pytest.approx(tuple(reference.confidence_interval(0.95)))


def test_equal_seeds_give_an_interval_of_zero_width() -> None:
    assert welch_over_seeds([0.5, 0.5], [0.25, 0.25])[:4] == (0.25, 0.25, 0.25, 0.0)
    assert paired_over_seeds([0.5, 0.6], [0.5, 0.6])[:4] == (0.0, 0.0, 0.0, 1.0)


def test_holm_on_an_example() -> None:
    """0.005 × 4, 0.01 × 3, 0.03 × 2, 0.04 × 1, each at least the one before it, as R's p.adjust."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=10))
def test_holm_never_lowers_a_p_value_and_keeps_the_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for (p, a), (q, b) in itertools.product(zip(p_values, adjusted, strict=True), repeat=2):
        assert p <= a <= min(1.0, p * len(p_values) + 1e-12)
        assert a <= b or p > q


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_rejects_the_same_hypotheses_as_its_definition(p_values: list[float], alpha: float) -> None:
    """Definition: go up from the smallest p-value while p ≤ α / (number of remaining p-values)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    steps = itertools.takewhile(lambda step: p_values[step[1]] * (len(p_values) - step[0]) <= alpha, enumerate(order))
    adjusted = holm(p_values)
    assert {i for _, i in steps} == {i for i, p in enumerate(adjusted) if p <= alpha}


def test_power_equals_the_sum_over_all_outcomes() -> None:
    texts, discordant, difference = 12, 0.7, 0.4
    shares = [(discordant + difference) / 2, (discordant - difference) / 2, 1 - discordant]
    expected = sum(
        multinomial.pmf([a, b, texts - a - b], texts, shares)
        for a in range(texts + 1)
        for b in range(texts + 1 - a)
        if mcnemar(*answers(0, a, b, texts - a - b)).difference.p <= 0.05
    )
    assert mcnemar_power(texts, discordant, difference) == pytest.approx(expected)
    assert mcnemar_power(texts, discordant, -difference) == pytest.approx(expected)


@pytest.mark.slow
@settings(max_examples=30)
@given(st.integers(50, 30_000), st.floats(0.02, 0.4))
def test_smallest_detectable_difference_has_80_percent_power(texts: int, discordant: float) -> None:
    least = smallest_detectable_difference(texts, discordant)
    assert least is not None
    assert mcnemar_power(texts, max(discordant, least), least) == pytest.approx(0.8, abs=1e-3)
    assert mcnemar_power(texts, max(discordant, 0.9 * least), 0.9 * least) < 0.8


def test_smallest_detectable_difference_is_near_the_formula_for_many_texts() -> None:
    """Connor (Biometrics 43, 1987): n δ² = (z₁₋α⸝₂ √ψ + z₁₋β √(ψ − δ²))², ψ the discordant share, δ the difference."""
    texts, psi = 25_000, 0.08
    delta = smallest_detectable_difference(texts, psi)
    assert delta is not None
    normal = NormalDist()
    needed = (normal.inv_cdf(0.975) * math.sqrt(psi) + normal.inv_cdf(0.8) * math.sqrt(psi - delta**2)) ** 2 / delta**2
    assert needed == pytest.approx(texts, rel=0.03)


def test_smallest_detectable_difference_falls_with_more_texts_and_is_none_for_five() -> None:
    smallest = [smallest_detectable_difference(texts, 0.1) for texts in (100, 1_000, 5_000, 25_000)]
    assert smallest == sorted(smallest, reverse=True)
    assert smallest_detectable_difference(5, 0.1) is None  # 2 · (1/2)⁵ > 0.05
    assert mcnemar_power(5, 0.0, 0.0) == 0


@settings(max_examples=30)
@given(st.floats(1e-4, 1e2), st.floats(1, 200), st.floats(0, 8), st.sampled_from([0.05, 0.05 / 21]))
def test_student_power_equals_the_noncentral_t(error: float, freedom: float, shift: float, alpha: float) -> None:
    critical = student.isf(alpha / 2, freedom)
    expected = nct.sf(critical, freedom, shift) + nct.cdf(-critical, freedom, shift)
    assume(np.isfinite(expected))  # SciPy's noncentral t is nan for some arguments
    assert student_power(shift * error, error, freedom, alpha) == pytest.approx(expected, abs=1e-3)


@pytest.mark.slow
def test_welch_finds_the_smallest_difference_by_student_with_80_percent_power() -> None:
    """Two models with six seeds each differ by the smallest difference."""
    chance, seeds, draws = np.random.default_rng(0), 6, 2_000
    smallest = smallest_difference_by_student(math.sqrt(2 / seeds), 2 * seeds - 2)
    significant = [
        welch_over_seeds(chance.normal(smallest, 1, seeds).tolist(), chance.normal(0, 1, seeds).tolist()).p <= 0.05
        for _ in range(draws)
    ]
    assert np.mean(significant) == pytest.approx(0.8, abs=0.03)
    assert smallest_difference_by_student(0.0, 3.0) == 0.0


@pytest.mark.parametrize(
    ("compare", "message"),
    [
        (lambda: mcnemar(np.array([True]), np.array([True, False])), "on 1 and 2 texts"),
        (lambda: paired_bootstrap(np.ones((2, 0)), np.ones((2, 0))), "on 0 and 0 texts"),
        (lambda: welch_over_seeds([0.5], [0.5, 0.6]), "with 1 seed"),
        (lambda: paired_over_seeds([0.5, 0.5, 0.5], [0.5, 0.6]), "3 and 2 seeds"),
        (lambda: holm([0.5, 1.5]), "not all p-values"),
        (lambda: mcnemar_power(100, 0.1, 0.2), "share of 0.1 and a difference of 0.2"),
        (lambda: smallest_detectable_difference(0, 0.2), "^0 texts"),
    ],
)
def test_invalid_comparisons_are_refused(compare: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compare()
