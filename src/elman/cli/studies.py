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
    """Run a study step by step, and write a report of it: HTML, PDF and Markdown.

    quick: mlp, elman, rnn and lstm on 20,000 IMDb reviews, in less than 20 minutes on two cores; without access to
    IMDb, on generated reviews. full: every question of the course's assignment, with tuned models and one evaluation
    on the test split, in about 12 hours. smoke: every kind of step on small generated data, in less than a minute. A
    finished step is repeated only if its configuration or that of a step that it needs has changed.

        elman study --profile quick
        elman study mine.toml

    Parameters
    ----------
    file
        A study file of your own; docs/study.md describes its format.
    profile
        A study of the package. Without a file, the default is quick.
    directory
        The directory of its results and its report. The default is runs/study-PROFILE or runs/study-FILE.
    accelerator
        The device of all its runs. The default is that of the study. Results from another device are not repeated.
    processes
        The number of seeds or trials of a step that train at the same time. The default is that of the study. Each
        process uses one core; a GPU has room for several, because recurrent networks leave it partly idle.
    """
    require("report", "tune")
    from elman.study import read_study, run_study, study_from_file

    if file is not None and profile is not None:
        raise ConfigError(f"{file} and --profile {profile} are two different studies.", "Use only one of them.")
    declared = read_study(profile or "quick") if file is None else study_from_file(file)
    if accelerator is not None:
        declared = declared.with_accelerator(accelerator)
    if processes is not None:
        declared = declared.with_processes(processes)
    run_study(declared, directory or Path("runs") / f"study-{declared.name}", lambda line: print(line, flush=True))


@app.command
def report(directory: Path, /) -> None:
    """Write the report of a study again from its result files: report.html, report.pdf and report.md.

    The report lists missing results in their places. Weights and data are not needed.

    Parameters
    ----------
    directory
        The directory of a study, such as runs/study-quick.
    """
    require("report")
    from elman.report.study import write_report

    print(write_report(directory))


@app.command
def bundle(directory: Path, /, *, name: str, output: Path = Path()) -> None:
    """Pack a study for submission: one zip of code, configuration, results and report.

        elman bundle runs/study-quick --name abc123_2

    Parameters
    ----------
    directory
        The directory of a study, such as runs/study-quick.
    name
        VUNETID_ASSIGNMENT, such as abc123_2; the zip is NAME.zip.
    output
        The directory to write it into.
    """
    require("report")
    from elman.bundle import write_bundle

    print(write_bundle(directory, name, output))
