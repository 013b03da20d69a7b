"""Sentences about the hand-written Elman network."""

from elman.formatting import digits, listed, percent, plain, times
from elman.report.results import Figures

EQUAL = 1e-9
"""Largest difference of two float64 computations that counts as rounding."""


def equality_with_torch(figures: Figures) -> str:
    """Say whether the Elman network computes the same as torch and the loops."""
    largest = max(figures["equal"].values())
    if largest > EQUAL:
        return f"The hand-written Elman network differs from torch or from the loops by up to {digits(largest)}."
    return (
        "The hand-written Elman network computes the same outputs and gradients as a loop over the tokens, and the same"
        " outputs as `nn.RNN` with the same weights and an output layer after it (largest difference"
        f" {digits(largest)}, which is rounding). `nn.RNN` returns the hidden states: it lacks the output layer of an"
        " Elman network."
    )


def speed(figures: Figures) -> str:
    """Compare the speed of the Elman network with the loops and with torch."""
    parts = []
    for row in figures["times"]:
        relation = (
            f"{times(row['ratio'])} times as fast as"
            if row["ratio_least"] > 1
            else f"slower ({times(row['ratio'])} times the speed) than"
            if row["ratio_most"] < 1
            else "not measurably faster or slower than"
        )
        parts.append(f"{relation} {row['peer']}")
    return f"The hand-written Elman network is {listed(parts)}."


def batch_first(figures: Figures) -> str:
    """Say what happens without ``batch_first``."""
    with_it, without = (figures["torch"][f"moved_{how}_batch_first"] for how in ("with", "without"))
    if without > 0 and with_it == 0:
        return (
            "Without `batch_first` torch takes the first dimension for time and raises no error. The outputs have the"
            f" expected shape, but a change of one text changes the states of the others, by up to {digits(without)}."
            " With `batch_first` they do not change."
        )
    return (
        f"A change of one text changes the states of the others by up to {digits(with_it)} with `batch_first`, and by"
        f" up to {digits(without)} without it."
    )


def softmax_in_the_loss(figures: Figures) -> str:
    """Say why the softmax belongs in the loss, and whether argmax needs it."""
    outside, inside = figures["torch"]["infinite_after_softmax"], figures["torch"]["infinite_in_the_loss"]
    logit, same = plain(figures["torch"]["logit"]), figures["torch"]["argmax_same"]
    loss = (
        f"If one class has the logit {logit}, the probability of a class with the logit 0 rounds to 0, and its"
        " logarithm is infinite. The loss takes the logits and computes the logarithm of the softmax in one step, which"
        " stays finite. A model that ends in a softmax would apply it twice."
        if outside > inside
        else f"With a logit of {logit}, a softmax before the loss makes no more logarithms infinite than one in it."
    )
    argmax = (
        "Softmax keeps the order of the logits, so argmax does not need it"
        if same == 1
        else "Softmax did not keep the order of the logits"
    )
    return f"{loss} {argmax}: the largest logit is the largest probability in {percent(same)} of the cases tried."


def folded_linear(figures: Figures) -> str:
    """Say whether a Linear computes the same on (batch, time, features) and on (batch × time, features)."""
    difference = figures["torch"]["linear_against_folded"]
    if difference > EQUAL:
        return f"A Linear on (batch, time, features) and on (batch × time, features) differ by {digits(difference)}."
    return (
        "A Linear acts on the last dimension only: it gives the same numbers for (batch, time, features) and for the"
        f" reshaped (batch × time, features) (largest difference {digits(difference)})."
    )
