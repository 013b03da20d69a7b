"""Results as text and tables on a terminal."""

import re
from collections import Counter
from collections.abc import Sequence
from json import dumps
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from elman.formatting import setting
from elman.languages.checks import EMPTY_STRING_NAMES
from elman.progress import seconds

BEST_TRIALS = 5
GAP = 2
"""Blanks between two columns of a table."""
RUN_FIGURES = {
    "val_accuracy": "accuracy {:.2%}",
    "val_excess_nats_per_token": "excess {:.5f} nats",
    "val_bits_per_token": "{:.3f} bits a token",
    "val_cross_entropy_nats": "loss {:.4f} nats",
}
QUESTIONS = ("grammatical", "in_support", "equal_counts")


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], title: str = "", caption: str = "") -> None:
    """Print a table, or one block of lines a row where the table is wider than the terminal.

    Text is broken only between words. So a number is never broken: without its last digits it would be another number.
    """
    console = Console()
    if title:
        console.print(title, style="italic", highlight=False, markup=False)
    cells = [[*row, *[""] * (len(headings) - len(row))] for row in rows]
    columns = [*zip(headings, *cells, strict=True)]
    widths = [max(map(_least_width, column)) for column in columns]
    spare = console.width - sum(widths) - GAP * (len(columns) - 1)
    if spare < 0:
        _print_blocks(console, headings, cells)
    else:
        table = Table(box=SIMPLE, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0))
        for heading, width, column in zip(headings, widths, columns, strict=True):
            wider = min(max(map(cell_len, column)) - width, spare)
            spare -= wider
            numeric = not any(re.search("[A-Za-z]", cell.replace(" to ", "")) for cell in column[1:])
            table.add_column(Text(heading), width=width + wider, justify="right" if numeric else "left")
        for row in cells:
            table.add_row(*map(Text, row))
        console.print(table)
    if caption:
        console.print(caption, style="dim", highlight=False, markup=False)
    console.print()


def print_records(
    columns: dict[str, str], records: Sequence[dict[str, Any]], title: str = "", caption: str = ""
) -> None:
    """Print a table of records; ``columns`` maps each heading to the format string of its cells."""
    rows = [[wording.format_map(record) for wording in columns.values()] for record in records]
    print_table([*columns], rows, title, caption)


def _least_width(cell: str) -> int:
    """Return the width at which a cell has no broken word and about four lines at most."""
    return max(cell_len(cell) // 4, *map(cell_len, cell.split()), 0)


def _print_blocks(console: Console, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for first, *others in rows:
        console.print(Text(f"{headings[0]} {first}".strip(), style="bold"))
        block = Table.grid(padding=(0, 0, 0, GAP), pad_edge=True)
        for heading, cell in zip(headings[1:], others, strict=True):
            if cell:
                block.add_row(Text(heading), Text(cell))
        console.print(block)


def print_evaluation(figures: dict[str, Any]) -> None:
    """Print the figures of :func:`elman.evaluation.evaluate`."""
    console = Console()
    if figures["task"] == "language-model":
        console.print(
            f"[bold]{escape(figures['run'])}[/bold] on {figures['split']}: {_likelihood(figures)}", highlight=False
        )
        return
    console.print(
        f"[bold]{escape(figures['run'])}[/bold] on {figures['split']}: accuracy [bold]{figures['accuracy']:.2%}[/bold]"
        f" (95%: {figures['accuracy_low']:.2%} to {figures['accuracy_high']:.2%}),"
        f" cross-entropy {figures['cross_entropy_nats']:.4f} nats, {figures['sequences']:,} texts",
        highlight=False,
    )
    names = figures["class_names"]
    confusion = [[name, *map("{:,}".format, counts)] for name, counts in zip(names, figures["confusion"], strict=True)]
    print_table(["true", *(f"predicted {name}" for name in names)], confusion)
    columns = {
        "confidence": "{from:.0%} to {to:.0%}",
        "texts": "{sequences:,}",
        "mean confidence": "{confidence:.1%}",
        "accuracy": "{accuracy:.1%}",
    }
    error = figures["calibration"]["expected_calibration_error"]
    print_records(columns, figures["calibration"]["bins"], caption=f"expected calibration error {error:.2%}")
    if not figures["mistakes"]:
        return
    console.print("The most confident mistakes:")
    for mistake in figures["mistakes"]:
        console.print(
            f"  [bold]{figures['split']} {mistake['index']}[/bold]: predicted {escape(mistake['predicted'])} with"
            f" {mistake['probability']:.1%}, is {escape(mistake['label'])}",
            highlight=False,
        )
        console.print(f"    {mistake['text']}", style="dim", highlight=False, markup=False)


def print_description(description: dict[str, Any]) -> None:
    """Print the counts of :func:`elman.data.describe.describe`."""
    console = Console()
    console.print(
        f"[bold]{escape(description['name'])}[/bold] by {description['level']}: {description['vocab_size']:,} ids;"
        f" the most frequent: {escape(' '.join(map(repr_of_blank, description['most_frequent'])))}",
        highlight=False,
    )
    console.print(f"from {escape(description['source'])}", style="dim", highlight=False)
    columns = {
        "split": "{name}",
        "texts": "{sequences:,}",
        "tokens": "{tokens:,}",
        "shortest": "{length_min:,}",
        "median": "{length_median:g}",
        "mean": "{length_mean:.1f}",
        "longest": "{length_max:,}",
        "classes": "{class_counts}",
    }
    records = []
    for name, split in description["splits"].items():
        class_counts = ", ".join(f"{count:,} {label}" for label, count in split.get("classes", {}).items())
        records.append({"name": name, "class_counts": class_counts, **split})
    print_records(columns, records)
    if duplicates := description.get("duplicates"):
        console.print(
            f"Exact duplicates: {duplicates['groups']:,} texts occur more than once; {duplicates['across_splits']:,}"
            f" texts of test also occur in train, {duplicates['val_in_train']:,} of val in the rest of train;"
            f" {duplicates['label_conflicts']:,} occur with different classes.",
            highlight=False,
        )
    if films := description.get("films"):
        text = (
            f"Texts on a film that also occurs in training: {films['val']['share']:.1%} of val,"
            f" {films['test']['share']:.1%} of test."
        )
        if films["val"]["texts"]:
            text += f" A baseline that sees only the film is right on {films['val_by_film']:.1%} of val, with guesses."
        console.print(text, highlight=False)


def print_samples(written: dict[str, Any]) -> None:
    """Print the samples of :func:`elman.grading.write`, one a line; those of a formal language with a mark."""
    console = Console()
    for sample in written["samples"]:
        if "grammatical" in sample:
            console.print(_mark(sample), end=" ")
        tail = " …" if sample["cut_off"] and "grammatical" not in sample else ""
        console.print(sample["text"] + tail, highlight=False, markup=False, soft_wrap=True)


def print_grades(figures: dict[str, Any]) -> None:
    """Print the figures of :func:`elman.grading.grade`."""
    console = Console()
    fresh = figures["fresh"]
    console.print(
        f"[bold]{escape(figures['run'])}[/bold] on {fresh['sequences']:,} fresh strings: {_likelihood(fresh)}",
        highlight=False,
    )
    prompt = f" that begin with {figures['prompt']}" if figures["prompt"] else ""
    print_records(
        {"": "{name}", "samples": "{count:,}", "share": "{value:.2%}", "95% interval": "{low:.2%} to {high:.2%}"},
        [
            {"name": name.replace("_", " "), "count": figures[name], **share}
            for name, share in figures["shares"].items()
            if name in figures and name != "words_trained_on"
        ],
        title=f"{figures['samples']:,} samples{prompt}, temperature {figures['temperature']:g}",
    )
    if lengths := figures.get("lengths"):
        console.print(
            f"Total variation distance of the lengths from the generator's: {lengths['total_variation']:.4f};"
            f" for as many perfect samples {lengths['total_variation_perfect']:.4f}"
            f" (at most {lengths['total_variation_perfect_high']:.4f} in {lengths['draws']} draws).\n"
            f"Distinct lengths: {lengths['lengths']:,}, perfect {lengths['lengths_perfect']:,.1f}."
            f" Distinct strings: {figures['distinct']:,}, perfect {lengths['distinct_perfect']:,.1f}.",
            highlight=False,
        )
    else:
        console.print(f"Distinct strings: {figures['distinct']:,}.", highlight=False)
    if "words" in figures:
        share = figures["shares"]["words_trained_on"]
        console.print(
            f"{share['value']:.2%} of the sampled words (95%: {share['low']:.2%} to {share['high']:.2%}) occur in"
            " training.",
            highlight=False,
        )
    if "by_temperature" in figures:
        columns = {
            "temperature": "{temperature:g}",
            "grammatical": "{grammatical:,}",
            "95% interval": "{shares[grammatical][low]:.2%} to {shares[grammatical][high]:.2%}",
            **{name.replace("_", " "): f"{{{name}:,}}" for name in ("in_support", "cut_off", "novel", "distinct")},
        }
        title = f"{figures['samples']:,} samples at each temperature{prompt}"
        print_records(columns, figures["by_temperature"], title)


def _likelihood(figures: dict[str, Any]) -> str:
    text = (
        f"cross-entropy {figures['cross_entropy_nats']:.5f} nats a token ({figures['bits_per_token']:.4f} bits,"
        f" perplexity {figures['perplexity']:.4f}), {figures['tokens']:,} tokens"
    )
    if "excess_nats_per_token" not in figures:
        return text
    interval = f" (95%: {figures['excess_low']:.5f} to {figures['excess_high']:.5f})"
    return (
        f"{text}; floor {figures['floor_nats_per_token']:.5f} ({figures['floor_kind']}), excess"
        f" [bold]{figures['excess_nats_per_token']:.5f}[/bold]{interval if figures['sequences'] > 1 else ''}"
    )


def print_over_runs(graded: dict[str, Any]) -> None:
    """Print the means over several runs of :func:`elman.grading.over_runs`."""
    rows = []
    for name, figure in graded["over_runs"].items():
        wording = "{:.2%}" if name.endswith("_share") else "{:,.1f}" if figure["mean"] > 10 else "{:.5f}"
        mean, low, high, least, most = (wording.format(figure[key]) for key in ("mean", "low", "high", "least", "most"))
        rows.append([name.replace("_", " "), mean, f"{low} to {high}", least, most])
    print_table(["", "mean", "95% interval", "least", "most"], rows, title=f"over {len(graded['runs'])} runs")


def print_generalization(figures: dict[str, Any]) -> None:
    """Print the figures of :func:`elman.generalization.generalize`."""
    for name in ("length", "depth"):
        if rows := figures.get(f"by_{name}"):
            columns = {
                "times": "{factor}",
                **{count: f"{{{count}:,}}" for count in (name, "strings", "prefixes")},
                "KL (nats a symbol)": "{kl_nats:.6f}",
                "accuracy": "{accuracy:.2%}",
            }
            print_records(columns, rows, f"{name}; the training strings reach {figures[f'trained_to_{name}']:,}")
    Console().print(f"Forced steps: {_forced(figures['forced'])}.", highlight=False)


def print_generalization_over_runs(figures: dict[str, Any]) -> None:
    """Print the means of :func:`elman.generalization.over_runs`, and the forced steps of each run."""
    over = figures["over_runs"]
    for name in ("length", "depth"):
        if rows := over.get(f"by_{name}"):
            columns = {
                "times": "{factor}",
                name: f"{{{name}:,}}",
                "KL (nats a symbol)": "{kl_nats[mean]:.6f} ({kl_nats[least]:.6f} to {kl_nats[most]:.6f})",
                "accuracy": "{accuracy[mean]:.2%} ({accuracy[least]:.2%} to {accuracy[most]:.2%})",
            }
            print_records(columns, rows, f"{name}, over {len(figures['runs'])} runs: mean (least to most)")
    rows = []
    for run in figures["runs"]:
        nats = run["val_cross_entropy_nats"]
        mark = " (the best)" if run["run"] == over["chosen"] else ""
        validation = "not finished" if nats is None else f"{nats:.6f}{mark}"
        rows.append([run["run"], f"{run['seed']}", validation, _forced(run["forced"])])
    print_table(["run", "seed", "validation (nats a token)", "forced steps"], rows)


def _forced(forced: dict[str, Any] | None) -> str:
    if forced is None:
        return "the language has none"
    reach = f"all right up to length {forced['to_length']:,}"
    if "to_n" in forced:
        reach += f", n = {forced['to_n']:,}"
    wrong_at = forced["wrong_at_length"]
    return f"{reach}; {'no longer strings were read' if wrong_at is None else f'one wrong at {wrong_at:,}'}"


def print_runs(listing: dict[str, Any]) -> None:
    """Print the summaries of runs that ``elman runs`` collects."""
    rows, problems = [], []
    for run in listing["runs"]:
        name = Path(run["run"]).name
        if "problem" in run:
            problems.append(f"{name}: {run['problem']}")
            continue
        epochs = f"{run['epochs']}" if run["finished"] else f"{run['epochs']} of {run['epochs_planned']}, unfinished"
        figure = next((wording.format(run[key]) for key, wording in RUN_FIGURES.items() if key in run), "")
        date = run["date"][:16].replace("T", " ")
        rows.append([name, f"{run['model']}, {run['data']}, {run['task']}", epochs, figure, date])
    if rows:
        print_table(["run", "model, data, task", "epochs", "validation", "date"], rows, f"runs in {listing['folder']}")
    for line in problems if listing["runs"] else [f"{listing['folder']} contains no runs."]:
        print(line)


def print_search(log: dict[str, Any]) -> None:
    """Print the best trials of a search, a log of :func:`elman.tuning.log.read_log`, and the importance of options."""
    better = -1 if log["direction"] == "maximize" else 1
    complete = [trial for trial in log["trials"] if trial["state"] == "complete"]
    best = sorted(complete, key=lambda trial: better * trial["value"])[:BEST_TRIALS]
    states = Counter(trial["state"] for trial in log["trials"])
    counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    wording = "{:.2%}" if log["metric"] == "val_accuracy" else "{:.5f}"
    importance = log["importance"] or {}
    rows = [
        [log["metric"].replace("_", " "), *(wording.format(trial["value"]) for trial in best)],
        ["best epoch", *(str(trial["best_epoch"]) for trial in best)],
        ["time", *(seconds(trial["seconds"]) for trial in best)],
    ]
    for name in best[0]["params"] if best else ():
        settings = [setting(trial["params"][name]) for trial in best]
        share = [f"{importance[name]:.0%}"] if name in importance else []
        rows.append([name.partition(".")[2].replace("_", " "), *settings, *share])
    print_table(
        ["", *(f"trial {trial['number']}" for trial in best), *(["importance"] if importance else [])],
        rows,
        title=f"the best of {len(log['trials'])} trials ({counts}), {seconds(log['seconds'])}",
        caption="importance: share of the difference between good and poor trials" if importance else "",
    )
    if "command" in log:
        print(f"Train the best one:\n  {log['command']}")


def print_facts(facts: dict[str, Any]) -> None:
    """Print the figures of :func:`elman.languages.facts.facts`."""
    console = Console()
    margin = (facts["entropy_bits_high"] - facts["entropy_bits_low"]) / 2
    kind, floor = "exact", ""
    if facts["floor_kind"] != "exact":
        kind = f"± {margin:.3f} (95%), from {facts['entropy_samples']:,} strings"
        floor = f" ({facts['floor_nats_low']:.6f} to {facts['floor_nats_high']:.6f})"
    console.print(
        f"[bold]{escape(facts['name'])}[/bold] over {len(facts['alphabet'])} symbols:", end=" ", highlight=False
    )
    console.print(" ".join(map(repr_of_blank, facts["alphabet"])), markup=False, highlight=False)
    console.print(
        f"entropy  {facts['entropy_bits_per_string']:.4f} bits a string ({kind})\n"
        f"length   {facts['mean_tokens_per_string']:.4f} tokens a string on average, the end included\n"
        f"floor    {facts['floor_nats_per_token']:.6f}{floor} nats a token: no model has a lower cross-entropy"
        f" (perplexity {facts['floor_perplexity']:.4f})",
        highlight=False,
    )
    console.print("examples:")
    for example in facts["examples"]:
        console.print(f"  {example}", style="dim", markup=False, highlight=False)


def print_checked(checked: dict[str, Any]) -> None:
    """Print the verdicts of :func:`elman.languages.facts.judgments`, a string a line."""
    console = Console()
    for string in checked["strings"]:
        console.print(_mark(string), end=" ")
        answers = [f"{'not ' * (not string[key])}{key.replace('_', ' ')}" for key in string if key in QUESTIONS]
        probability = f"probability {string['probability']:.3g}"
        if string["in_support"] and not string["probability"]:  # below the smallest float
            probability = f"probability e^{string['log_prob']:.1f}"
        if string["unknown_symbols"]:
            answers, probability = [], f"unknown symbol {', '.join(map(_quoted, string['unknown_symbols']))}"
        console.print(f"{string['text'] or '(empty)'}  ", end="", highlight=False, markup=False, soft_wrap=True)
        console.print("; ".join([*answers, probability]), style="dim", highlight=False, markup=False, soft_wrap=True)
    if unknown := {symbol for string in checked["strings"] for symbol in string["unknown_symbols"]}:
        hint = f"The alphabet of {checked['language']} is {' '.join(map(_quoted, checked['alphabet']))}."
        if unknown & EMPTY_STRING_NAMES:
            hint += " Write an empty line for the empty string."
        Console(stderr=True).print(hint, highlight=False, markup=False)


def _quoted(symbol: str) -> str:
    """Return a symbol in quotes, with escapes for characters that cannot be seen."""
    return dumps(symbol, ensure_ascii=not symbol.isprintable())


def _mark(verdict: dict[str, Any]) -> str:
    if verdict.get("cut_off"):
        return "[yellow]…[/yellow]"
    return "[green]✓[/green]" if verdict["grammatical"] else "[red]✗[/red]"


def repr_of_blank(token: str) -> str:
    """Return a token that cannot be seen, such as a blank, in quotes."""
    return repr(token) if token.isspace() else token
