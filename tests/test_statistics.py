"""Intervals and tests, against definitions, published examples, SciPy, and the share of times that they are right."""

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


def test_mcnemar_against_the_sum_of_binomials() -> None:
    for only_first, only_second in itertools.product(range(9), repeat=2):
        found = mcnemar(*answers(5, only_first, only_second, 3))
        n = only_first + only_second
        at_most = sum(math.comb(n, k) for k in range(min(only_first, only_second) + 1))
        assert found.difference.p == pytest.approx(float(min(Fraction(1), Fraction(2 * at_most, 2**n))))
        assert (found.only_first, found.only_second, found.texts) == (only_first, only_second, n + 8)


def test_mcnemar_on_a_published_table() -> None:
    """Approval in two surveys (Agresti, Categorical Data Analysis, 2002, section 10.1): 0.04 (0.02 to 0.06), z = 4.17.

    The exact p-value is a little above that of z, as an exact one is.
    """
    found = mcnemar(*answers(794, 150, 86, 570))
    assert found.difference.value == pytest.approx(0.04)
    assert (found.difference.low, found.difference.high) == pytest.approx((0.02, 0.06), abs=0.005)
    assert 1 < found.difference.p / (2 * NormalDist().cdf(-4.17)) < 1.3


@given(ANSWERS)
def test_mcnemar_swapped_turns_the_sign(pair: tuple[np.ndarray, np.ndarray]) -> None:
    found, swapped = mcnemar(*pair), mcnemar(*reversed(pair))
    assert swapped.difference[:4] == pytest.approx(
        (-found.difference.value, -found.difference.high, -found.difference.low, found.difference.p)
    )
    assert found.difference.low <= found.difference.value <= found.difference.high
    assert 0 < found.difference.p <= 1
    assert found.difference.value == pytest.approx(pair[0].mean() - pair[1].mean())


def test_mcnemar_s_interval_covers_and_its_test_seldom_errs() -> None:
    chance = np.random.default_rng(0)
    shares, draws = [0.8, 0.08, 0.05, 0.07], 2_000
    counts = chance.multinomial(200, shares, size=draws)
    found = [mcnemar(*answers(*row)).difference for row in counts]
    assert np.mean([each.low <= 0.03 <= each.high for each in found]) == pytest.approx(0.95, abs=0.02)
    equal = [
        mcnemar(*answers(*row)).difference.p for row in chance.multinomial(200, [0.8, 0.06, 0.06, 0.08], size=draws)
    ]
    assert np.mean(np.array(equal) <= 0.05) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / draws)


def every_resample(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """What the bootstrap draws from: the means of all ways to draw seeds and texts, which are equally likely."""

    def drawn(scores: np.ndarray) -> list[np.ndarray]:
        seeds = len(scores)
        return [scores[list(rows)].mean(axis=0) for rows in itertools.product(range(seeds), repeat=max(seeds - 1, 1))]

    texts = list(itertools.product(range(first.shape[1]), repeat=first.shape[1]))
    return np.array([(a - b)[list(columns)].mean() for a in drawn(first) for b in drawn(second) for columns in texts])


def test_the_bootstrap_against_all_resamples() -> None:
    chance = np.random.default_rng(1)
    first, second = chance.normal(size=(3, 4)) + 0.5, chance.normal(size=(2, 4))
    exact = every_resample(first, second)
    found = paired_bootstrap(first, second, seed=5, resamples=40_000)
    parts = [first.mean(axis=1), second.mean(axis=1), first.mean(axis=0) - second.mean(axis=0)]
    variances = [part.var(ddof=1) / len(part) for part in parts]
    freedom = sum(variances) ** 2 / sum(v**2 / (len(part) - 1) for v, part in zip(variances, parts, strict=True))
    margin = student.ppf(0.975, freedom) * exact.std()
    assert (found.low, found.high) == pytest.approx((found.value - margin, found.value + margin), abs=0.02)
    assert found.p == pytest.approx(2 * student.sf(abs(found.value) / exact.std(), freedom), abs=0.01)
    assert found.value == pytest.approx(first.mean() - second.mean())


def test_the_bootstrap_follows_its_seed_and_not_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(2)
    first, second = chance.random((3, 50)) < 0.9, chance.random((4, 50)) < 0.8
    one = paired_bootstrap(first, second, seed=1, resamples=500)
    assert paired_bootstrap(first, second, seed=1, resamples=500) == one
    assert paired_bootstrap(first, second, seed=2, resamples=500) != one
    monkeypatch.setattr(comparison, "AT_ONCE", 70)  # one row at a time
    assert paired_bootstrap(first, second, seed=1, resamples=500) == pytest.approx(one, abs=0.03)


def test_the_bootstrap_swapped_turns_the_sign() -> None:
    chance = np.random.default_rng(3)
    first, second = chance.random((5, 300)) < 0.9, chance.random((5, 300)) < 0.8
    found, swapped = paired_bootstrap(first, second), paired_bootstrap(second, first)
    assert swapped[:4] == pytest.approx((-found.value, -found.high, -found.low, found.p), abs=0.004)


def test_of_equal_models_the_bootstrap_sees_no_difference() -> None:
    same = np.random.default_rng(4).random((1, 40)) < 0.9
    assert paired_bootstrap(same, same, resamples=200)[:4] == (0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("seeds", [3, 8])
def test_the_bootstrap_covers_new_seeds_and_new_texts(seeds: int) -> None:
    """Texts, models on texts, seeds, and seeds on texts vary, and the models are equally good."""
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
        found = paired_bootstrap(first, second, seed=draw, resamples=300)
        hits += found.low <= 0 <= found.high
        over_seeds = welch_over_seeds(first.mean(axis=1).tolist(), second.mean(axis=1).tolist())
        hits_of_welch += over_seeds.low <= 0 <= over_seeds.high
    assert hits / draws >= 0.93
    assert hits_of_welch < hits  # it speaks of these texts alone


def test_few_seeds_that_differ_much_are_seldom_told_apart_far_out_in_the_tail() -> None:
    """There Holm looks; the resamples themselves say p < 0.05 / 15 of 1.3% of such draws."""
    draws, errors = 1_500, 0
    for draw in range(draws):
        chance = np.random.default_rng(draw)
        first, second = (1.2 + chance.normal(size=100) + chance.normal(size=(5, 1)) > 0 for _ in range(2))
        errors += paired_bootstrap(first, second, seed=draw, resamples=200).p <= 0.05 / 15
    assert errors / draws <= 0.05 / 15 + 3 * math.sqrt(0.05 / 15 / draws)


def test_student_s_sleep() -> None:
    """Hours of sleep gained by two drugs, the data of Student (1908): paired t = −4.0621, p = 0.002833 (R's t.test)."""
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    paired = paired_over_seeds(first, second)
    assert paired[:4] == pytest.approx((-1.58, -2.4598858, -0.7001142, 0.002833), abs=1e-6)
    welch = welch_over_seeds(first, second)
    assert welch[:4] == pytest.approx((-1.58, -3.3654832, 0.2054832, 0.07939), abs=1e-5)


@given(SHARES, SHARES)
@example([0.0, 0.0], [0.0, 6.6e-98])  # whose variance squared is no double any more
def test_welch_is_scipy_s_and_turns_its_sign(first: list[float], second: list[float]) -> None:
    found, swapped = welch_over_seeds(first, second), welch_over_seeds(second, first)
    assert swapped[:4] == pytest.approx((-found.value, -found.high, -found.low, found.p))
    if min(np.std(first), np.std(second)) > 1e-6:  # SciPy warns of others
        reference = ttest_ind(first, second, equal_var=False)
        assert found.p == pytest.approx(reference.pvalue, abs=1e-9)
        assert (found.low, found.high) == pytest.approx(tuple(reference.confidence_interval(0.95)), abs=1e-9)


def test_paired_over_seeds_is_scipy_s() -> None:
    chance = np.random.default_rng(5)
    for _ in range(20):
        first, second = chance.normal(size=(2, 6))
        reference = ttest_rel(first, second)
        found = paired_over_seeds(first, second)
        assert found.p == pytest.approx(reference.pvalue)
        assert (found.low, found.high) == pytest.approx(tuple(reference.confidence_interval(0.95)))


def test_seeds_that_do_not_vary_leave_nothing_uncertain() -> None:
    assert welch_over_seeds([0.5, 0.5], [0.25, 0.25])[:4] == (0.25, 0.25, 0.25, 0.0)
    assert paired_over_seeds([0.5, 0.6], [0.5, 0.6])[:4] == (0.0, 0.0, 0.0, 1.0)


def test_holm_by_hand() -> None:
    """0.005 × 4, 0.01 × 3, 0.03 × 2, 0.04 × 1, none below the one before it (R's p.adjust says the same)."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=10))
def test_holm_lowers_nothing_and_keeps_the_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for (p, a), (q, b) in itertools.product(zip(p_values, adjusted, strict=True), repeat=2):
        assert p <= a <= min(1.0, p * len(p_values) + 1e-12)
        assert a <= b or p > q


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_rejects_what_its_steps_reject(p_values: list[float], alpha: float) -> None:
    """The definition: from the smallest on, while p ≤ α / (number of those left)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    steps = itertools.takewhile(lambda step: p_values[step[1]] * (len(p_values) - step[0]) <= alpha, enumerate(order))
    adjusted = holm(p_values)
    assert {i for _, i in steps} == {i for i, p in enumerate(adjusted) if p <= alpha}


def test_power_against_all_outcomes() -> None:
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


@settings(max_examples=30)
@given(st.integers(50, 30_000), st.floats(0.02, 0.4))
def test_the_smallest_difference_is_found_in_four_cases_of_five(texts: int, discordant: float) -> None:
    least = smallest_detectable_difference(texts, discordant)
    assert least is not None
    assert mcnemar_power(texts, max(discordant, least), least) == pytest.approx(0.8, abs=1e-3)
    assert mcnemar_power(texts, max(discordant, 0.9 * least), 0.9 * least) < 0.8


def test_the_smallest_difference_is_near_the_formula_for_many_texts() -> None:
    """Connor (Biometrics 43, 1987): n δ² = (z₁₋α⸝₂ √ψ + z₁₋β √(ψ − δ²))², ψ the discordant share, δ the difference."""
    texts, psi = 25_000, 0.08
    delta = smallest_detectable_difference(texts, psi)
    assert delta is not None
    normal = NormalDist()
    needed = (normal.inv_cdf(0.975) * math.sqrt(psi) + normal.inv_cdf(0.8) * math.sqrt(psi - delta**2)) ** 2 / delta**2
    assert needed == pytest.approx(texts, rel=0.03)


def test_more_texts_show_less_and_five_show_nothing() -> None:
    found = [smallest_detectable_difference(texts, 0.1) for texts in (100, 1_000, 5_000, 25_000)]
    assert found == sorted(found, reverse=True)
    assert smallest_detectable_difference(5, 0.1) is None  # 2 · (1/2)⁵ > 0.05
    assert mcnemar_power(5, 0.0, 0.0) == 0


@settings(max_examples=30)
@given(st.floats(1e-4, 1e2), st.floats(1, 200), st.floats(0, 8), st.sampled_from([0.05, 0.05 / 21]))
def test_the_power_of_students_test_is_that_of_the_noncentral_t(
    error: float, freedom: float, shift: float, alpha: float
) -> None:
    critical = student.isf(alpha / 2, freedom)
    expected = nct.sf(critical, freedom, shift) + nct.cdf(-critical, freedom, shift)
    assume(np.isfinite(expected))  # SciPy's is not everywhere
    assert student_power(shift * error, error, freedom, alpha) == pytest.approx(expected, abs=1e-3)


def test_the_smallest_difference_by_student_is_what_welchs_test_finds_in_four_cases_of_five() -> None:
    """Of two models with six seeds each, that far apart."""
    chance, seeds, draws = np.random.default_rng(0), 6, 2_000
    apart = smallest_difference_by_student(math.sqrt(2 / seeds), 2 * seeds - 2)
    found = [
        welch_over_seeds(chance.normal(apart, 1, seeds).tolist(), chance.normal(0, 1, seeds).tolist()).p <= 0.05
        for _ in range(draws)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.03)
    assert smallest_difference_by_student(0.0, 3.0) == 0.0


@pytest.mark.parametrize(
    ("compare", "message"),
    [
        (lambda: mcnemar(np.array([True]), np.array([True, False])), "same texts, not on 1 and 2"),
        (lambda: paired_bootstrap(np.ones((2, 0)), np.ones((2, 0))), "same texts, not on 0 and 0"),
        (lambda: welch_over_seeds([0.5], [0.5, 0.6]), "Of 1 seed nothing"),
        (lambda: paired_over_seeds([0.5, 0.5, 0.5], [0.5, 0.6]), "there are 3 and 2"),
        (lambda: holm([0.5, 1.5]), "between 0 and 1"),
        (lambda: mcnemar_power(100, 0.1, 0.2), "differ by 0.2 and on a share of 0.1"),
        (lambda: smallest_detectable_difference(0, 0.2), "on 0 texts"),
    ],
)
def test_what_cannot_be_compared_is_refused(compare: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compare()
