"""``elman sample``, ``grade`` and ``generalise``."""

from json import dumps
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from elman.cli.apps import DRAW_AS_IS, Json, app, show_figures, svg, warn_unfinished
from elman.config import SamplingConfig
from elman.errors import ConfigError
from elman.extras import require


@app.command
def sample(
    run: Path,
    /,
    *,
    number: Annotated[int, Parameter(name=["--number", "-n"])] = 10,
    prompt: str = "",
    config: Annotated[SamplingConfig, Parameter(name="*")] = DRAW_AS_IS,
    json: Json = False,
) -> None:
    """Let a language model write.

        elman sample runs/brackets-lstm-1 -n 10 --prompt '(()' --temperature 0.5

    Strings of a formal language have a mark: ✓ grammatical, ✗ not, … cut off.

    Parameters
    ----------
    run
        A run directory of a language model.
    number
        How many samples.
    prompt
        What each begins with.
    json
        Print the samples for a program to read.
    """
    from elman.grading import write
    from elman.report.terminal import print_samples
    from elman.runs import Run

    opened = Run(run)
    warn_unfinished(opened)
    show_figures(write(opened, number, config, prompt), print_samples, json)


@app.command
def grade(
    *runs: Path,
    number: Annotated[int, Parameter(name=["--number", "-n"])] = 10_000,
    prompt: str = "",
    strings: int = 20_000,
    by_temperature: Annotated[bool, Parameter(negative="")] = False,
    config: Annotated[SamplingConfig, Parameter(name="*")] = DRAW_AS_IS,
    json: Json = False,
) -> None:
    """Judge a language model's samples, and measure how far it is from the best possible model.

    Of the samples it counts those that are grammatical, in the generator's support, cut off (counted as wrong), or
    novel, each share with its 95% interval, and how many are distinct, and holds their lengths to the generator's;
    beside the figures that depend on the number of samples stands what perfect samples show. On fresh strings it
    measures cross-entropy, floor and excess.

        elman grade runs/brackets-lstm-1
        elman grade runs/brackets-lstm-1 --prompt '((((((((((' -n 1000
        elman grade runs/brackets-lstm-1 runs/brackets-lstm-2 runs/brackets-lstm-3

    Of several runs, which should differ in their seed alone, it also prints the means over them with their intervals.

    Parameters
    ----------
    runs
        Run directories of language models on a formal language.
    number
        How many samples.
    prompt
        What each begins with.
    strings
        How many fresh strings the excess is measured on.
    by_temperature
        Judge as many samples at each of several other temperatures too.
    json
        Print the figures for a program to read: of one run its own, of several ``runs`` and ``over_runs``.
    """
    from elman.grading import check_same_language, over_runs
    from elman.grading import grade as grade_run
    from elman.report.terminal import print_grades, print_over_runs
    from elman.runs import Run

    if not runs:
        raise ConfigError("No run is named.", "Say, for instance: elman grade runs/brackets-lstm-1")
    opened = [Run(path) for path in runs]
    check_same_language(opened)
    graded = []
    for run in opened:
        warn_unfinished(run)
        graded.append(grade_run(run, number, config, prompt=prompt, strings=strings, by_temperature=by_temperature))
        if not json:
            print_grades(graded[-1])
    if len(runs) == 1:
        if json:
            print(dumps(graded[0], indent=2))
        return
    show_figures({"runs": graded, "over_runs": over_runs(graded)}, print_over_runs, json)


@app.command
def generalise(
    *runs: Path,
    factors: tuple[int, ...] = (1, 2, 4, 10, 100),
    forced_prefixes: int = 2_000_000,
    figure: Path | None = None,
    json: Json = False,
) -> None:
    """Hold a language model to its language on strings longer, and deeper, than it was trained on.

    At every prefix the model's distribution of the next symbol is compared with the generator's: mean divergence in
    nats, and how often the model tells what may follow from what may not. Where one symbol alone may follow, the step
    is forced; from the shortest strings on, every length is read until the model's most probable token is another.

        elman train brackets --max-symbols 50 --strings 150000
        elman generalise runs/brackets-lstm-1
        elman generalise runs/anbn-lstm-1 runs/anbn-lstm-2 runs/anbn-lstm-3

    Of several runs, which should differ in their seed alone, it also prints the means over them, how far each takes
    every forced step right, and which of them is the best on validation.

    Parameters
    ----------
    runs
        Run directories of language models on an automaton, or a language that counts (ndfa, anbn, brackets, dyck); not
        on a grammar such as toy.
    factors
        How many times the longest training string.
    forced_prefixes
        Stop looking for a wrong forced step after so many prefixes. The default reads aⁿbⁿ to n = 1,413.
    figure
        Where to draw it, of one run. The default is figures/generalisation.svg in the run directory.
    json
        Print the figures for a program to read: of one run its own, of several ``runs`` and ``over_runs``.
    """
    require("report")
    from elman.generalization import check_same_strings, over_runs
    from elman.generalization import generalise as generalise_run
    from elman.report.figures import generalisation_figure
    from elman.report.terminal import print_generalisation, print_generalisation_over_runs
    from elman.runs import Run

    if not runs:
        raise ConfigError("No run is named.", "Say, for instance: elman generalise runs/brackets-lstm-1")
    if figure is not None and len(runs) > 1:
        raise ConfigError(f"--figure names one picture, and there are {len(runs)} runs.", "Leave it out.")
    if figure is not None:
        svg(figure)
    opened = [Run(path) for path in runs]
    check_same_strings([run.checksum for run in opened])
    measured = []
    for run in opened:
        warn_unfinished(run)
        measured.append(generalise_run(run, factors, forced_prefixes=forced_prefixes))
        generalisation_figure(figure or run.path / "figures" / "generalisation.svg", measured[-1])
        if len(runs) == 1 or not json:
            show_figures(measured[-1], print_generalisation, json)
    if len(runs) > 1:
        show_figures({"runs": measured, "over_runs": over_runs(measured)}, print_generalisation_over_runs, json)
