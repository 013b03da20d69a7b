"""Results as tables on a terminal."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from elman.progress import seconds
from elman.tables import shown


def print_evaluation(figures: dict[str, Any]) -> None:
    """Show what :func:`elman.evaluation.evaluate` returns."""
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
    console.print(_confusion(figures))
    console.print(_calibration(figures["calibration"]))
    if not figures["mistakes"]:
        return
    console.print("The surest mistakes:")
    for mistake in figures["mistakes"]:
        console.print(
            f"  [bold]{figures['split']} {mistake['index']}[/bold]: {mistake['probability']:.1%} sure of"
            f" {mistake['predicted']}, is {mistake['label']}",
            highlight=False,
        )
        console.print(f"    {mistake['text']}", style="dim", highlight=False, markup=False)


def print_description(description: dict[str, Any]) -> None:
    """Show what :func:`elman.data.describe.describe` returns."""
    console = Console()
    console.print(
        f"[bold]{escape(description['name'])}[/bold] by {description['level']}: {description['vocab_size']:,} ids;"
        f" the most frequent: {escape(' '.join(map(repr_of_blank, description['most_frequent'])))}",
        highlight=False,
    )
    console.print(f"from {escape(description['source'])}", style="dim", highlight=False)
    table = _table("split", "texts", "tokens", "shortest", "median", "mean", "longest", "classes")
    for name, split in description["splits"].items():
        classes = ", ".join(f"{count:,} {label}" for label, count in split.get("classes", {}).items())
        counts = [f"{split[key]:,}" for key in ("sequences", "tokens", "length_min")]
        middle = [f"{split['length_median']:g}", f"{split['length_mean']:.1f}", f"{split['length_max']:,}"]
        table.add_row(name, *counts, *middle, classes)
    console.print(table)
    if found := description.get("duplicates"):
        console.print(_repeated(found), highlight=False)
    if found := description.get("films"):
        console.print(_films(found), highlight=False)


def _repeated(found: dict[str, int]) -> str:
    return (
        f"Exact duplicates: {found['groups']} texts stand more than once; {found['across_splits']} texts of test"
        f" stand in train too, {found['val_in_train']} of val in the rest of train; {found['label_conflicts']} disagree"
        " on their class."
    )


def _films(found: dict[str, Any]) -> str:
    said = (
        f"Texts on a film that is trained on too: {found['val']['share']:.1%} of val, {found['test']['share']:.1%} of"
        " test."
    )
    by_film = f" Of val, the film alone tells the class of {found['val_by_film']:.1%}, guesses counted."
    return said + (by_film if found["val"]["texts"] else "")


def print_samples(written: dict[str, Any]) -> None:
    """Show what :func:`elman.grading.write` returns: a sample a line, with its mark where it can be judged."""
    console = Console()
    for sample in written["samples"]:
        if "grammatical" in sample:
            console.print(_mark(sample), end=" ")
        tail = " …" if sample["cut_off"] and "grammatical" not in sample else ""
        console.print(sample["text"] + tail, highlight=False, markup=False, soft_wrap=True)


def print_grades(figures: dict[str, Any]) -> None:
    """Show what :func:`elman.grading.grade` returns."""
    console = Console()
    fresh = figures["fresh"]
    console.print(
        f"[bold]{escape(figures['run'])}[/bold] on {fresh['sequences']:,} fresh strings: {_likelihood(fresh)}",
        highlight=False,
    )
    prompt = f" that begin with {escape(figures['prompt'])}" if figures["prompt"] else ""
    console.print(_grades(figures, f"{figures['samples']:,} samples{prompt}, temperature {figures['temperature']:g}"))
    if lengths := figures.get("lengths"):
        console.print(
            f"Total variation of the lengths from the generator's: {lengths['total_variation']:.4f}; of as many perfect"
            f" samples {lengths['total_variation_perfect']:.4f} (at most {lengths['total_variation_perfect_high']:.4f}"
            f" in {lengths['draws']}).\n"
            f"Distinct lengths: {lengths['lengths']:,}, perfect {lengths['lengths_perfect']:,.1f}."
            f" Distinct strings: {figures['distinct']:,}, perfect {lengths['distinct_perfect']:,.1f}.",
            highlight=False,
        )
    if "words" in figures:
        share = figures["shares"]["words_trained_on"]
        console.print(
            f"Of the sampled words {share['value']:.2%} (95%: {share['low']:.2%} to {share['high']:.2%}) occur in"
            " training.",
            highlight=False,
        )
    if "by_temperature" in figures:
        console.print(
            _by_temperature(figures["by_temperature"], f"{figures['samples']:,} samples at each temperature{prompt}")
        )


def _likelihood(figures: dict[str, Any]) -> str:
    found = (
        f"cross-entropy {figures['cross_entropy_nats']:.5f} nats a token ({figures['bits_per_token']:.4f} bits,"
        f" perplexity {figures['perplexity']:.4f}), {figures['tokens']:,} tokens"
    )
    if "excess_nats_per_token" not in figures:
        return found
    return (
        f"{found}; floor {figures['floor_nats_per_token']:.5f} ({figures['floor_kind']}), excess"
        f" [bold]{figures['excess_nats_per_token']:.5f}[/bold]"
        f" (95%: {figures['excess_low']:.5f} to {figures['excess_high']:.5f})"
    )


def print_over_runs(graded: dict[str, Any]) -> None:
    """Show the means over several runs, as :func:`elman.grading.over_runs` returns them."""
    table = _table("", "mean", "95% interval", "least", "most", title=f"over {len(graded['runs'])} runs")
    for name, figure in graded["over_runs"].items():
        wording = "{:.2%}" if name.endswith("_share") else "{:,.1f}" if figure["mean"] > 10 else "{:.5f}"
        mean, low, high, least, most = (wording.format(figure[key]) for key in ("mean", "low", "high", "least", "most"))
        table.add_row(name.replace("_", " "), mean, f"{low} to {high}", least, most)
    Console().print(table)


def print_generalisation(figures: dict[str, Any]) -> None:
    """Show what :func:`elman.generalization.generalise` returns."""
    console = Console()
    for key, name in (("by_length", "length"), ("by_depth", "depth")):
        if key not in figures:
            continue
        reached = figures[f"trained_to_{name}"]
        table = _table(title=f"{name}, of which training reached {reached:,}")
        for heading in ("times", name, "strings", "prefixes", "KL (nats a symbol)", "accuracy"):
            table.add_column(heading, justify="right", overflow="fold")
        for row in figures[key]:
            counts = [f"{row[count]:,}" for count in (name, "strings", "prefixes")]
            table.add_row(f"{row['factor']}", *counts, f"{row['kl_nats']:.6f}", f"{row['accuracy']:.2%}")
        console.print(table)
    console.print(f"Forced steps: {_forced(figures['forced'])}.", highlight=False)


def print_generalisation_over_runs(figures: dict[str, Any]) -> None:
    """Show the means that :func:`elman.generalization.over_runs` returns, and how far each run goes."""
    console, over = Console(), figures["over_runs"]
    for key, name in (("by_length", "length"), ("by_depth", "depth")):
        if key not in over:
            continue
        table = _table(title=f"{name}, over {len(figures['runs'])} runs: mean (least to most)")
        for heading in ("times", name, "KL (nats a symbol)", "accuracy"):
            table.add_column(heading, justify="right", overflow="fold")
        for row in over[key]:
            spread = [_with_range(row["kl_nats"], "{:.6f}"), _with_range(row["accuracy"], "{:.2%}")]
            table.add_row(f"{row['factor']}", f"{row[name]:,}", *spread)
        console.print(table)
    table = _table("run", "seed", "validation (nats a token)", "forced steps")
    for run in figures["runs"]:
        nats = run["val_cross_entropy_nats"]
        mark = " (the best)" if run["run"] == over["chosen"] else ""
        validation = "not finished" if nats is None else f"{nats:.6f}{mark}"
        table.add_row(escape(run["run"]), f"{run['seed']}", validation, _forced(run["forced"]))
    console.print(table)


def _forced(found: dict[str, Any] | None) -> str:
    if found is None:
        return "the language has none"
    reach = f"all right up to length {found['to_length']:,}"
    if "to_n" in found:
        reach += f", n = {found['to_n']:,}"
    wrong_at = found["wrong_at_length"]
    return f"{reach}; {'as far as was read' if wrong_at is None else f'one wrong at {wrong_at:,}'}"


def _with_range(figure: dict[str, float], wording: str) -> str:
    mean, least, most = (wording.format(figure[key]) for key in ("mean", "least", "most"))
    return f"{mean} ({least} to {most})"


def print_search(log: dict[str, Any]) -> None:
    """Show the best trials of a search, as :func:`elman.tuning.log.read_log` returns it, and what mattered."""
    console = Console()
    better = -1 if log["direction"] == "maximize" else 1
    complete = [trial for trial in log["trials"] if trial["state"] == "complete"]
    best = sorted(complete, key=lambda trial: better * trial["value"])[:BEST_TRIALS]
    others = Counter(trial["state"] for trial in log["trials"])
    counted = ", ".join(f"{count} {state}" for state, count in sorted(others.items()))
    metric = log["metric"].replace("_", " ")
    table = _table(title=f"the best of {len(log['trials'])} trials ({counted}), {seconds(log['seconds'])}")
    table.add_column("", overflow="fold")
    for trial in best:
        table.add_column(f"trial {trial['number']}", justify="right", overflow="fold")
    accuracy = log["metric"] == "val_accuracy"
    table.add_row(metric, *(f"{trial['value']:.2%}" if accuracy else f"{trial['value']:.5f}" for trial in best))
    table.add_row("best epoch", *(str(trial["best_epoch"]) for trial in best))
    table.add_row("time", *(seconds(trial["seconds"]) for trial in best), end_section=True)
    importance = log["importance"] or {}
    if importance:
        table.add_column("explains", justify="right", overflow="fold")
        table.caption = "explains: how much of the spread between good and poor trials"
    for name in best[0]["params"] if best else ():
        knobs = [shown(trial["params"][name]) for trial in best]
        share = [f"{importance[name]:.0%}"] if name in importance else []
        table.add_row(name.partition(".")[2].replace("_", " "), *knobs, *share)
    console.print(table)
    if "command" in log:
        console.print("Train the best one:")
        console.print(f"  {log['command']}", highlight=False, markup=False, soft_wrap=True)


BEST_TRIALS = 5


def print_facts(known: dict[str, Any]) -> None:
    """Show what :func:`elman.languages.facts.facts` returns."""
    console = Console()
    spread = (known["entropy_bits_high"] - known["entropy_bits_low"]) / 2
    how, floor = "exact", ""
    if known["floor_kind"] != "exact":
        how = f"± {spread:.3f} (95%), from {known['entropy_samples']:,} strings"
        floor = f" ({known['floor_nats_low']:.6f} to {known['floor_nats_high']:.6f})"
    console.print(
        f"[bold]{escape(known['name'])}[/bold] over {len(known['alphabet'])} symbols:", end=" ", highlight=False
    )
    console.print(" ".join(map(repr_of_blank, known["alphabet"])), markup=False, highlight=False)
    console.print(
        f"entropy  {known['entropy_bits_per_string']:.4f} bits a string ({how})\n"
        f"length   {known['mean_tokens_per_string']:.4f} tokens a string on average, the end counted\n"
        f"floor    {known['floor_nats_per_token']:.6f}{floor} nats a token: no model has a lower cross-entropy"
        f" (perplexity {known['floor_perplexity']:.4f})",
        highlight=False,
    )
    console.print("for example:")
    for example in known["examples"]:
        console.print(f"  {example}", style="dim", markup=False, highlight=False)


def print_checked(found: dict[str, Any]) -> None:
    """Show what :func:`elman.languages.facts.checked` returns: a string a line."""
    console = Console()
    for string in found["strings"]:
        console.print(_mark(string), end=" ")
        answers = [f"{'not ' * (not string[key])}{key.replace('_', ' ')}" for key in string if key in QUESTIONS]
        probability = f"probability {string['probability']:.3g}"
        if string["in_support"] and not string["probability"]:  # too small for a number of the processor
            probability = f"probability e^{string['log_prob']:.1f}"
        console.print(f"{string['text']}  ", end="", highlight=False, markup=False, soft_wrap=True)
        console.print("; ".join([*answers, probability]), style="dim", highlight=False, soft_wrap=True)


QUESTIONS = ("grammatical", "in_support", "equal_counts")


def _mark(verdict: dict[str, Any]) -> str:
    if verdict.get("cut_off"):
        return "[yellow]…[/yellow]"
    return "[green]✓[/green]" if verdict["grammatical"] else "[red]✗[/red]"


def _grades(figures: dict[str, Any], title: str) -> Table:
    table = _table("", "samples", "share", "95% interval", title=title)
    for name, share in figures["shares"].items():
        if name in figures and name != "words_trained_on":
            low, high = share["low"], share["high"]
            table.add_row(
                name.replace("_", " "), f"{figures[name]:,}", f"{share['value']:.2%}", f"{low:.2%} to {high:.2%}"
            )
    table.add_row("distinct", f"{figures['distinct']:,}")
    return table


def _by_temperature(graded: list[dict[str, Any]], title: str) -> Table:
    table = _table(
        "temperature", "grammatical", "95% interval", "in support", "cut off", "novel", "distinct", title=title
    )
    for row in graded:
        share = row["shares"]["grammatical"]
        counts = [f"{row[key]:,}" for key in ("in_support", "cut_off", "novel", "distinct")]
        interval = f"{share['low']:.2%} to {share['high']:.2%}"
        table.add_row(f"{row['temperature']:g}", f"{row['grammatical']:,}", interval, *counts)
    return table


def _table(*headings: str, title: str | None = None) -> Table:
    """Return a table that folds what is too wide for it: a figure without its last digits is another figure."""
    return Table(*(Column(heading, overflow="fold") for heading in headings), title=title)


def repr_of_blank(token: str) -> str:
    """Show a token that cannot be seen, such as a blank, in quotes."""
    return repr(token) if token.isspace() else token


def _confusion(figures: dict[str, Any]) -> Table:
    names = figures["class_names"]
    table = _table("true", *(f"predicted {name}" for name in names))
    for name, counts in zip(names, figures["confusion"], strict=True):
        table.add_row(name, *(f"{count:,}" for count in counts))
    return table


def _calibration(found: dict[str, Any]) -> Table:
    table = _table("sureness", "texts", "mean sureness", "accuracy")
    for row in found["bins"]:
        span = f"{row['from']:.0%} to {row['to']:.0%}"
        table.add_row(span, f"{row['sequences']:,}", f"{row['confidence']:.1%}", f"{row['accuracy']:.1%}")
    table.caption = f"expected calibration error {found['expected_calibration_error']:.2%}"
    return table


def print_bench(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Print a line for each comparison as soon as it is measured, and return all."""
    printed = []
    for row in rows:
        share = "" if row["share_of_peak"] is None else f", {row['share_of_peak']:.0%} of the matrix-product peak"
        print(
            f"{row['name']} : {row['peer']}  {row['ratio']:.2f} × ({row['ratio_least']:.2f} to {row['ratio_most']:.2f};"
            f" aim {row['aim']:g} × or {row['better']})  {row['value']:,.0f} {row['unit']} against"
            f" {row['peer_value']:,.0f}{share}",
            flush=True,
        )
        printed.append(row)
    return printed
