"""The report of a study, in Markdown: every number comes from its results, and so does every sentence about them."""

from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from elman.files import write_text
from elman.progress import seconds
from elman.report.figures import Entries, accuracy_figure, gradient_figure, loss_figure
from elman.runs import Run


def write_report(directory: Path, results: dict[str, Any], runs: dict[str, Run]) -> Path:
    """Write ``report.md`` and its figures into ``directory``, and return its path."""
    steps: dict[str, Entries] = {name: run.metrics("step") for name, run in runs.items()}
    epochs: dict[str, Entries] = {name: run.metrics("epoch") for name, run in runs.items()}
    loss_figure(directory / "figures" / "loss.svg", steps, epochs)
    gradient_figure(directory / "figures" / "gradients.svg", steps, epochs)
    accuracy_figure(directory / "figures" / "accuracy.svg", results["runs"], epochs)
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
    environment.filters |= {"percent": "{:.2%}".format, "count": "{:,.0f}".format, "seconds": seconds}
    source = files("elman.report").joinpath("study.md.j2").read_text(encoding="utf-8")
    configurations = {name: run.config.to_toml() for name, run in runs.items()}
    text = environment.from_string(source).render(
        results, epochs=epochs, configurations=configurations, ranking=ranking(results["runs"])
    )
    path = directory / "report.md"
    write_text(path, text)
    return path


def ranking(runs: dict[str, dict[str, Any]]) -> str:
    """Say in a sentence which models the intervals tell apart, from best to worst.

    Two neighbours in the order are called better and worse only where their 95% intervals do not overlap. (Both
    were measured on the same texts, so a paired test could tell more of them apart; this says less, never more.)
    """
    order = sorted(runs, key=lambda name: -runs[name]["val_accuracy"])
    sentences = []
    for better, worse in pairwise(order):
        apart = runs[better]["val_accuracy_low"] > runs[worse]["val_accuracy_high"]
        sentences.append(f"{better} {'is better than' if apart else 'cannot be told from'} {worse}")
    return "; ".join(sentences or order) + "."
