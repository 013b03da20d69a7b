"""What the figures say of how models were trained."""

from elman.formatting import count, listed, percent
from elman.progress import seconds
from elman.report.steps import Figures, Steps


def overfitting(steps: Steps) -> str:
    """Name the classifiers whose loss on validation rose while that on training still fell."""
    turned = {name: epoch for name, found in steps.items() if (epoch := _turning_point(found))}
    past = [f"{name} after epoch {count(epoch)}" for name, epoch in turned.items()]
    rest = [name for name, found in steps.items() if len(found["epochs"]) > 1 and _ends_at_its_best(found)]
    if not past and not rest:
        return ""
    if not past:
        return f"{listed(rest)} had not begun to overfit: the loss on validation was at its lowest at the end."
    surer = [name for name, epoch in turned.items() if _more_often_right(steps[name], epoch)]
    return (
        f"Overfitting: the loss on validation rose while that on training still fell, of {listed(past)}."
        + (
            f" The accuracy of {listed(surer)} rose on all the same: more texts were right, and wrong ones surer."
            if surer
            else ""
        )
        + (f" {listed(rest)} had not come so far." if rest else "")
    )


def _losses(found: Figures) -> list[float]:
    return [entry["val_cross_entropy_nats"]["mean"] for entry in found["epochs"]]


def _ends_at_its_best(found: Figures) -> bool:
    return _losses(found)[-1] == min(_losses(found))


def _turning_point(found: Figures) -> int:
    """Return the epoch after which validation got worse while training got better; 0 where there is none."""
    entries, val = found["epochs"], _losses(found)
    train = [entry["train_loss_nats"]["mean"] for entry in entries]
    lowest = min(range(len(val)), key=val.__getitem__)
    return lowest + 1 if val[-1] > val[lowest] and train[-1] < train[lowest] else 0


def _more_often_right(found: Figures, epoch: int) -> bool:
    """Return whether the last epoch has a higher accuracy than the one of that number, counted from 1."""
    accuracies = [entry["val_accuracy"]["mean"] for entry in found["epochs"]]
    return bool(accuracies[-1] > accuracies[epoch - 1])


def seeds_differ(steps: Steps) -> str:
    """Say how far apart the runs of different seeds are."""
    said = [
        f"{percent(accuracy['least'])} to {percent(accuracy['most'])} ({name})"
        for name, found in steps.items()
        if (accuracy := found["summary"].get("test_accuracy") or found["summary"]["val_accuracy"])["interval"]
        == "seeds"
    ]
    return f"Across seeds the accuracy ranges from {listed(said)}." if said else ""


def pretrained(steps: Steps) -> str:
    """Say how long models were pretrained, which their training time leaves out."""
    said = [
        f"{name} read texts without their labels for {seconds(before['seconds'])}"
        for name, found in steps.items()
        if (before := found.get("pretraining"))
    ]
    return f"Before their training, once for all seeds and not in its time: {listed(said)}." if said else ""


def clipping_acted(steps: Steps) -> str:
    """Say how often clipping acted."""
    said = [
        f"{name} {percent(found['clipped_share'])}"
        for name, found in steps.items()
        if found["clipped_share"] is not None
    ]
    free = [name for name, found in steps.items() if not found.get("grad_clip_norm") and found["clipped_share"] is None]
    parts = [f"Share of logged updates whose gradient was longer than the limit and was clipped: {listed(said)}."]
    return " ".join((parts if said else []) + ([f"The gradients of {listed(free)} were not clipped."] if free else []))
