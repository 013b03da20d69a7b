"""``elman study``, ``report`` and ``bundle``."""

from pathlib import Path
from typing import Literal

from elman.cli.apps import app
from elman.config import Accelerator
from elman.errors import ConfigError
from elman.extras import require


@app.command
def study(
    file: Path | None = None,
    /,
    *,
    profile: Literal["smoke", "quick", "full"] | None = None,
    directory: Path | None = None,
    accelerator: Accelerator | None = None,
    processes: int | None = None,
) -> None:
    """Do a study step by step, and write a report of it: HTML, PDF and Markdown.

    quick: mlp, elman, rnn and lstm on 20,000 IMDb reviews, in less than 20 minutes on two cores; where IMDb cannot be
    had, on generated reviews. full: every question of the course's assignment, with tuned models and one opening of the
    test split, in hours. smoke: every kind of step on small generated data, in about a minute. A step whose result file
    is there is not repeated, unless its configuration or that of a step that it needs has changed.

        elman study --profile quick
        elman study mine.toml

    Parameters
    ----------
    file
        A study of your own instead; docs/study.md says what it holds.
    profile
        Which study; without a file of your own, quick.
    directory
        Where its results and its report are kept. The default is runs/study-PROFILE, or runs/study-FILE.
    accelerator
        The device of all its runs; the default is what the study says. What was done on another is not repeated.
    processes
        How many seeds or trials of a step are trained beside each other; the default is what the study says. On
        processors each takes a core; a GPU that recurrent networks leave idle has room for several.
    """
    require("report", "tune")
    from elman.study import read_study, run_study, study_from_file

    if file is not None and profile is not None:
        raise ConfigError(f"{file} is a study of its own, and {profile} is another.", "Leave one of the two out.")
    declared = read_study(profile or "quick") if file is None else study_from_file(file)
    if accelerator is not None:
        declared = declared.on(accelerator)
    if processes is not None:
        declared = declared.beside(processes)
    run_study(declared, directory or Path("runs") / f"study-{declared.name}", lambda line: print(line, flush=True))


@app.command
def report(directory: Path, /) -> None:
    """Write a study's report anew from its result files: report.html, report.pdf and report.md.

    What is missing is said in its place. No weights and no data are read.

    Parameters
    ----------
    directory
        A study's, such as runs/study-quick.
    """
    require("report")
    from elman.report.study import write_report

    print(write_report(directory))


@app.command
def bundle(directory: Path, /, *, name: str, output: Path = Path()) -> None:
    """Pack a study to be handed in: one zip of code, configuration, results and report.

        elman bundle runs/study-quick --name abc123_2

    Parameters
    ----------
    directory
        A study's, such as runs/study-quick.
    name
        VUNETID_ASSIGNMENT, such as abc123_2; the zip is NAME.zip.
    output
        The folder that it is written into.
    """
    require("report")
    from elman.bundle import write_bundle

    print(write_bundle(directory, name, output))
