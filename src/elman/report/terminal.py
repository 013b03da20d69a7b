"""Results as tables on a terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table


def print_evaluation(figures: dict[str, Any]) -> None:
    """Show what :func:`elman.evaluation.evaluate` returns."""
    console = Console()
    console.print(
        f"[bold]{figures['run']}[/bold] on {figures['split']}: accuracy [bold]{figures['accuracy']:.2%}[/bold]"
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
        f"[bold]{description['name']}[/bold] by {description['level']}: {description['vocab_size']:,} ids;"
        f" the most frequent: {' '.join(map(repr_of_blank, description['most_frequent']))}",
        highlight=False,
    )
    console.print(f"from {description['source']}", style="dim", highlight=False)
    table = Table("split", "texts", "tokens", "shortest", "median", "mean", "longest", "classes")
    for name, split in description["splits"].items():
        classes = ", ".join(f"{count:,} {label}" for label, count in split.get("classes", {}).items())
        counts = [f"{split[key]:,}" for key in ("sequences", "tokens", "length_min")]
        middle = [f"{split['length_median']:g}", f"{split['length_mean']:.1f}", f"{split['length_max']:,}"]
        table.add_row(name, *counts, *middle, classes)
    console.print(table)
    found = description["duplicates"]
    console.print(
        f"Exact duplicates: {found['groups']} texts stand more than once; {found['across_splits']} texts of test"
        f" stand in train too; {found['label_conflicts']} of them disagree on their class.",
        highlight=False,
    )


def repr_of_blank(token: str) -> str:
    """Show a token that cannot be seen, such as a blank, in quotes."""
    return repr(token) if token.isspace() else token


def _confusion(figures: dict[str, Any]) -> Table:
    names = figures["class_names"]
    table = Table("true", *(f"predicted {name}" for name in names))
    for name, counts in zip(names, figures["confusion"], strict=True):
        table.add_row(name, *(f"{count:,}" for count in counts))
    return table


def _calibration(found: dict[str, Any]) -> Table:
    table = Table("sureness", "texts", "mean sureness", "accuracy")
    for row in found["bins"]:
        span = f"{row['from']:.0%} to {row['to']:.0%}"
        table.add_row(span, f"{row['sequences']:,}", f"{row['confidence']:.1%}", f"{row['accuracy']:.1%}")
    table.caption = f"expected calibration error {found['expected_calibration_error']:.2%}"
    return table
