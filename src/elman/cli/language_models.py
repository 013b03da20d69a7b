"""``elman sample``, ``grade`` and ``generalize``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from elman.cli.apps import DRAW_AS_IS, Json, app, show_figures, svg, warn, warn_unfinished
from elman.config import FORCED_PREFIXES, LENGTH_FACTORS, SamplingConfig
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
    """Sample strings from a language model.

        elman sample runs/brackets-lstm-1 -n 10 --prompt '(()' --temperature 0.5

    Each string of a formal language has a mark: ✓ if it is grammatical, ✗ if it is not, and … if it was cut off before
    it ended (see ``--max-new-tokens``).

    Parameters
    ----------
    run
        Run directory of a language model.
    number
        Number of samples.
    prompt
        Start of every sample. The model reads .unk for words that it does not know.
    json
        Print JSON.
    """
    from elman.grading import write
    from elman.report.terminal import print_samples
    from elman.runs import Run

    opened = Run(run)
    warn_unfinished(opened)
    show_figures(write(opened, number, config, prompt, warn), print_samples, json)


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
    """Grade a language model's samples, and measure how far the model is from the best possible one.

    The first table counts the samples that are grammatical, in the generator's support, cut off (counted as wrong) or
    novel, with 95% intervals, and the distinct ones. The lengths of the samples are compared with the generator's.
    Figures that depend on the number of samples come with the same figure for perfect samples, which are drawn from the
    generator itself. On fresh strings the command measures cross-entropy, floor and excess.

        elman grade runs/brackets-lstm-1
        elman grade runs/brackets-lstm-1 --prompt '((((((((((' -n 1000
        elman grade runs/brackets-lstm-1 runs/brackets-lstm-2 runs/brackets-lstm-3

    For several runs, which should differ only in their seed, it also prints the means over the runs with their
    intervals.

    Parameters
    ----------
    runs
        Run directories of language models of a formal language.
    number
        Number of samples.
    prompt
        Start of every sample.
    strings
        Number of fresh strings for the excess.
    by_temperature
        Also grade as many samples at each of several other temperatures.
    json
        Print JSON. For several runs: ``runs`` and ``over_runs``.
    """
    from elman.grading import check_same_language, over_runs
    from elman.grading import grade as grade_run
    from elman.report.terminal import print_grades, print_over_runs
    from elman.runs import Run

    if not runs:
        raise ConfigError("No run was given.", "Pass a run directory: elman grade runs/brackets-lstm-1")
    opened = [Run(path) for path in runs]
    check_same_language(opened)
    graded = []
    for run in opened:
        warn_unfinished(run)
        graded.append(grade_run(run, number, config, prompt=prompt, strings=strings, by_temperature=by_temperature))
        if len(runs) == 1 or not json:
            show_figures(graded[-1], print_grades, json)
    if len(runs) > 1:
        show_figures({"runs": graded, "over_runs": over_runs(graded)}, print_over_runs, json)


@app.command(alias="generalise")
def generalize(
    *runs: Path,
    factors: Annotated[tuple[int, ...], Parameter(consume_multiple=True)] = LENGTH_FACTORS,
    forced_prefixes: int = FORCED_PREFIXES,
    figure: Path | None = None,
    json: Json = False,
) -> None:
    """Test a language model on strings longer, and deeper, than those it was trained on.

    At every prefix the model's distribution of the next symbol is compared with the generator's: the mean divergence in
    nats, and how often the model separates the possible next symbols from the impossible ones. Where only one symbol
    can follow, the step is forced. The command reads every length, from the shortest string on, until the model's most
    probable token is wrong at a forced step.

        elman train brackets --max-symbols 50 --strings 150000
        elman generalize runs/brackets-lstm-1 --factors 1 2 4
        elman generalize runs/anbn-lstm-1 runs/anbn-lstm-2 runs/anbn-lstm-3

    For several runs, which should differ only in their seed, it also prints means over the runs, the length up to which
    each run takes all forced steps right, and the run that is best on validation.

    Parameters
    ----------
    runs
        Run directories of language models of an automaton or a counting language (ndfa, anbn, brackets, dyck), not of a
        grammar such as toy.
    factors
        Lengths of the strings, as multiples of the longest training string. Name the runs before this option.
    forced_prefixes
        Stop looking for a wrong forced step after this many prefixes. The default reads aⁿbⁿ to n = 1,413.
    figure
        File of the figure, for a single run. The default is figures/generalisation.svg in the run directory.
    json
        Print JSON. For several runs: ``runs`` and ``over_runs``.
    """
    require("report")
    from elman.generalization import check_same_strings, over_runs
    from elman.generalization import generalize as generalize_run
    from elman.report.figures import generalization_figure
    from elman.report.terminal import print_generalization, print_generalization_over_runs
    from elman.runs import Run

    if not runs:
        raise ConfigError("No run was given.", "Pass a run directory: elman generalize runs/brackets-lstm-1")
    if figure is not None and len(runs) > 1:
        raise ConfigError(f"--figure names one file, but there are {len(runs)} runs.", "Omit --figure.")
    if figure is not None:
        svg(figure)
    opened = [Run(path) for path in runs]
    check_same_strings([run.checksum for run in opened])
    measured = []
    for run in opened:
        warn_unfinished(run)
        measured.append(generalize_run(run, factors, forced_prefixes=forced_prefixes))
        generalization_figure(figure or run.path / "figures" / "generalisation.svg", measured[-1])
        if len(runs) == 1 or not json:
            show_figures(measured[-1], print_generalization, json)
    if len(runs) > 1:
        show_figures({"runs": measured, "over_runs": over_runs(measured)}, print_generalization_over_runs, json)
