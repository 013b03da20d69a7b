"""What the figures say of the Elman network written by hand."""

from elman.formatting import digits, listed, percent, plain, times
from elman.report.steps import Figures

EQUAL = 1e-9
"""How far apart two computations of the same in float64 may lie, by rounding."""


def elman_equals_torch(found: Figures) -> str:
    """Say whether the Elman written by hand computes what torch's network and the loops compute."""
    worst = max(found["equal"].values())
    if worst > EQUAL:
        return f"The Elman written by hand does not compute what torch and the loops compute: {digits(worst)} apart."
    return (
        "The Elman written by hand computes what a loop over the tokens computes, gradients too, and what `nn.RNN`"
        f" computes on the same weights with the output layer put behind it (at most {digits(worst)} apart, which is"
        " rounding). `nn.RNN` hands on the hidden states: it lacks the output layer of an Elman network."
    )


def faster_than_the_loop(found: Figures) -> str:
    """Say how fast it is against the loops and against torch's, where all pairs agree."""
    said = []
    for row in found["times"]:
        how = (
            f"{times(row['ratio'])} times as fast as"
            if row["ratio_least"] > 1
            else f"slower than ({times(row['ratio'])} times the speed of)"
            if row["ratio_most"] < 1
            else "not measurably faster or slower than"
        )
        said.append(f"{how} {row['peer']}")
    return f"It is {listed(said)}."


def batch_first(found: Figures) -> str:
    """Say what leaving out batch_first does."""
    kept, lost = (found["torch"][f"moved_{how}_batch_first"] for how in ("with", "without"))
    if lost > 0 and kept == 0:
        return (
            "Without `batch_first` torch takes the first dimension for time and says nothing. The outputs have the"
            " shape that they should have, but changing one text moves the states of the others (by up to"
            f" {digits(lost)}); with it they do not move."
        )
    return (
        f"Changing one text moves the states of others by {digits(kept)} with `batch_first`, by {digits(lost)} without."
    )


def softmax_in_the_loss(found: Figures) -> str:
    """Say why softmax belongs into the loss, and whether argmax needs it."""
    out, inside = found["torch"]["infinite_after_softmax"], found["torch"]["infinite_in_the_loss"]
    logit, same = plain(found["torch"]["logit"]), found["torch"]["argmax_same"]
    loss = (
        f"Beside a logit of {logit} the probability of a class with logit 0 rounds to 0, and its logarithm is infinite."
        " The loss takes the logits and computes the logarithm of the softmax in one step, which stays finite; a"
        " softmax before it would be a second one."
        if out > inside
        else f"At a logit of {logit} it makes no difference whether the softmax stands in the loss."
    )
    argmax = (
        "Softmax keeps the order of the logits, so argmax needs none"
        if same == 1
        else "Softmax did not keep the order of the logits"
    )
    return f"{loss} {argmax}: the largest logit is the largest probability in {percent(same)} of the cases tried."


def linear_folds(found: Figures) -> str:
    """Say whether a Linear on (batch, time, features) computes what it computes on (batch × time, features)."""
    apart = found["torch"]["linear_against_folded"]
    if apart > EQUAL:
        return f"A Linear on three dimensions and on the folded texts differ by {digits(apart)}."
    return (
        "A Linear works on the last dimension alone: folding batch and time into one by reshape, and unfolding what"
        f" comes out, gives the same numbers ({digits(apart)} apart)."
    )
