"""Sentences about classifiers and baselines: how they were trained, and their accuracy on validation."""

from elman.formatting import by_group, count, listed, percent, plain, spread, with_interval, with_names
from elman.progress import seconds
from elman.report.results import Figures, Steps, better_than_guessing, is_baseline

MAX_NAMES = 5
"""A sentence that would list more names gives their number."""

ALPHA = 0.05
"""Significance level."""


def best_classifier(steps: Steps) -> str:
    """Name the classifier with the highest validation accuracy."""
    return highest(steps, "val_accuracy", "validation")


def highest(steps: Steps, measure: str, split: str) -> str:
    """Name the model with the highest accuracy on a split, with its interval."""
    best = max(steps, key=lambda name: steps[name]["summary"][measure]["mean"])
    sentence = f"{best} classifies {with_interval(steps[best]['summary'][measure])} of the {split} texts correctly"
    others = listed(list(steps)) if len(steps) <= MAX_NAMES else f"all {count(len(steps))} models"
    return sentence + (f", the highest share among {others}." if len(steps) > 1 else ".")


def best_baseline(steps: Steps) -> str:
    """Name the baseline with the highest validation accuracy."""
    return f"The best baseline: {best_classifier(steps)}"


def strength_at_range_limit(steps: Steps) -> str:
    """Name the baselines whose chosen regularization strength is the smallest or the largest that was tried."""
    limits = []
    for name, figures in steps.items():
        strengths = [row["strength"] for row in figures["tried"]]
        if len(strengths) > 1 and figures["strength"] in (min(strengths), max(strengths)):
            limit = "smallest" if figures["strength"] == min(strengths) else "largest"
            limits.append(f"the {limit} value tried for {name} ({plain(figures['strength'])})")
    return with_names("The best C is {}. A better value may be outside the range.", limits)


def no_better_than_guessing(steps: Steps) -> str:
    """Name the classifiers whose accuracy is not above guessing, except a baseline that always predicts one class."""
    names = [
        name
        for name, figures in steps.items()
        if not better_than_guessing(figures["summary"]["val_accuracy"], figures)
        and not (is_baseline(figures) and _predicts_one_class(figures))
    ]
    return with_names("The accuracy of {} is not significantly above guessing a class.", names)


def _predicts_one_class(figures: Figures) -> bool:
    return sum(map(any, zip(*figures["by_seed"][0]["confusion"], strict=True))) == 1


def calibration(steps: Steps) -> str:
    """Compare the mean confidence of the classifiers with their accuracy."""
    groups: dict[str, list[str]] = {"higher than": [], "lower than": [], "equal to": []}
    for name, figures in steps.items():
        bins = [part for seed in figures["by_seed"] for part in seed["calibration"]["bins"]]
        gap = sum(part["sequences"] * (part["confidence"] - part["accuracy"]) for part in bins)
        groups["higher than" if gap > 0 else "lower than" if gap < 0 else "equal to"].append(name)
    parts = {f"{relation} the accuracy": names for relation, names in groups.items()}
    return f"The mean confidence is {by_group(parts)}."


def more_frequent_error(steps: Steps) -> str:
    """Name the class of two that is misclassified significantly more often, if it is the same in every run."""
    from scipy.stats import binomtest  # takes half a second

    parts = []
    for name, figures in steps.items():
        if len(figures["class_names"]) != 2:
            continue
        errors = [(seed["confusion"][0][1], seed["confusion"][1][0]) for seed in figures["by_seed"]]
        for more, less in ((0, 1), (1, 0)):
            if all(run[more] > run[less] and binomtest(run[more], sum(run)).pvalue <= ALPHA for run in errors):
                classes, totals = figures["class_names"], [sum(run[true] for run in errors) for true in (more, less)]
                parts.append(
                    f"{name} misclassifies {classes[more]} texts more often than {classes[less]} texts"
                    f" ({count(totals[0])} and {count(totals[1])} errors)"
                )
    return f"In every run the difference is significant: {'; '.join(parts)}." if parts else ""


def overfitting(steps: Steps) -> str:
    """Name the classifiers whose validation loss rose while their training loss still fell."""
    turned = {name: epoch for name, figures in steps.items() if (epoch := _turning_point(figures))}
    lowest_last = [name for name, figures in steps.items() if len(figures["epochs"]) > 1 and _ends_lowest(figures)]
    rising = [name for name, epoch in turned.items() if _accuracy_rises_after(steps[name], epoch)]
    sentences = []
    if turned:
        points = listed([f"{name} after epoch {count(epoch)}" for name, epoch in turned.items()])
        sentences.append(f"Overfitting: the validation loss rose while the training loss still fell, for {points}.")
    if rising:
        sentences.append(
            f"The accuracy of {listed(rising)} rose nevertheless: the loss also depends on how confident errors are."
        )
    if lowest_last:
        sentences.append(f"No overfitting yet: the validation loss of {listed(lowest_last)} ended at its lowest value.")
    return " ".join(sentences)


def _losses(figures: Figures) -> list[float]:
    return [entry["val_cross_entropy_nats"]["mean"] for entry in figures["epochs"]]


def _ends_lowest(figures: Figures) -> bool:
    return _losses(figures)[-1] == min(_losses(figures))


def _turning_point(figures: Figures) -> int:
    """Return the epoch after which the validation loss rose while the training loss fell; 0 if there is none."""
    entries, val = figures["epochs"], _losses(figures)
    train = [entry["train_loss_nats"]["mean"] for entry in entries]
    lowest = min(range(len(val)), key=val.__getitem__)
    return lowest + 1 if val[-1] > val[lowest] and train[-1] < train[lowest] else 0


def _accuracy_rises_after(figures: Figures, epoch: int) -> bool:
    """Return whether the accuracy is higher after the last epoch than after this one, counted from 1."""
    accuracies = [entry["val_accuracy"]["mean"] for entry in figures["epochs"]]
    return bool(accuracies[-1] > accuracies[epoch - 1])


def range_over_seeds(steps: Steps) -> str:
    """Name the model whose accuracy varies most over its seeds."""
    accuracies = {
        name: accuracy
        for name, figures in steps.items()
        if (accuracy := figures["summary"].get("test_accuracy") or figures["summary"]["val_accuracy"])["interval"]
        == "seeds"
    }
    if not accuracies:
        return ""
    widest = max(accuracies, key=lambda name: accuracies[name]["most"] - accuracies[name]["least"])
    least, most = (percent(accuracies[widest][end]) for end in ("least", "most"))
    return f"The widest range of accuracy over the seeds of one model is {least} to {most} ({widest})."


def pretraining(steps: Steps) -> str:
    """Say how long the models were pretrained."""
    parts = [
        f"{seconds(pretraining['seconds'])} ({name})"
        for name, figures in steps.items()
        if (pretraining := figures.get("pretraining"))
    ]
    return with_names(
        "Pretraining on texts without labels took {}. It ran once for all seeds of a model, and the"
        " training time does not include it.",
        parts,
    )


def clipping(steps: Steps) -> str:
    """Say how often clipping shortened the gradient."""
    shares = {name: figures["clipped_share"] for name, figures in steps.items()}
    clipped = {name: share for name, share in shares.items() if share is not None}
    free = [name for name, share in shares.items() if share is None and not steps[name].get("grad_clip_norm")]
    sentences = []
    if clipped:
        sentences.append(f"Clipping shortened the gradient in {spread(clipped, percent)} of the logged updates.")
    if free:
        sentences.append(f"The gradients of {listed(free)} were not clipped.")
    return " ".join(sentences)
