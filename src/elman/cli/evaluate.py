"""``elman evaluate``."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from elman.cli.apps import Json, app, show_figures, warn, warn_unfinished

EvaluatedSplit = Literal["val", "train", "test"]


@app.command
def evaluate(
    run: Path,
    /,
    *,
    split: EvaluatedSplit = "val",
    final: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    json: Json = False,
) -> None:
    """Measure the best weights of a run on a split.

    A classifier gets its accuracy with a 95% interval (Wilson), cross-entropy, confusion matrix, calibration, and the
    mistakes in which it was most confident. A language model gets its cross-entropy, and on a formal language its
    excess over the lowest possible cross-entropy.

        elman evaluate runs/imdb-lstm-1
        elman evaluate runs/imdb-lstm-1 --split test --final

    Use the test split only once, at the very end, when every choice has been made. It needs ``--final``. Each use is
    written into a ledger in the cache, and from the second on, a warning is printed.

    Parameters
    ----------
    run
        A run directory.
    split
        The part of the data to measure on.
    final
        Confirm that the test split may be used now.
    json
        Print the figures as JSON.
    """
    from elman.evaluation import evaluate as evaluate_run
    from elman.report.terminal import print_evaluation
    from elman.runs import Run

    opened = Run(run)
    warn_unfinished(opened)
    show_figures(evaluate_run(opened, split, final=final, warn=warn), print_evaluation, json)
