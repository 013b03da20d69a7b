"""``elman runs``."""

from pathlib import Path

from elman.cli.apps import Json, app, show_figures
from elman.errors import ElmanError, RunError

DEFAULT_FOLDER = Path("runs")


@app.command
def runs(folder: Path = DEFAULT_FOLDER, /, *, json: Json = False) -> None:
    """List the runs in a folder: their task, data and model, epochs, figure on validation, and date.

        elman runs
        elman runs runs/tune-imdb-lstm

    A run whose training has not finished shows the figure of its last epoch; continue it with elman train --resume RUN.

    Parameters
    ----------
    folder
        Folder with run directories.
    json
        Print JSON.
    """
    from elman.report.terminal import print_runs
    from elman.runs import Run, run_paths

    if not folder.is_dir():
        raise RunError(
            f"The folder {folder} does not exist.", "Pass a folder with runs, or make one: elman train brackets"
        )
    summaries = []
    for path in run_paths(folder):
        try:
            summaries.append(Run(path).summary())
        except ElmanError as error:
            summaries.append({"run": str(path), "problem": error.problem})
    show_figures({"folder": str(folder), "runs": summaries}, print_runs, json)
