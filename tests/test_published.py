"""The published report of the full study and the tables in the README agree with its result files."""

import json
import re
import shutil
from pathlib import Path

import pytest

from elman.report.study import write_report

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "docs" / "study"
NUMBER = re.compile(r"(?<![\w.])-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[-+]\d+)?%?")
ROW = re.compile(r"^\| `(\S+)` \| ([\d.]+)% \(([\d.]+)% to ([\d.]+)%\) \| (\d+) \| ([\d.]+)% \|$", re.MULTILINE)
ENSEMBLE_ROW = re.compile(r"^\| `(\S+)` \| ([\d.]+)% \(([\d.]+)% to ([\d.]+)%\) \| [a-zA-Z, -]+ \|$", re.MULTILINE)


def percentages(entry: dict[str, float]) -> list[str]:
    return [f"{100 * entry[f'test_accuracy_{part}']:.2f}" for part in ("mean", "low", "high")]


def test_the_tables_in_the_readme_equal_the_result_files() -> None:
    results = json.loads((STUDY / "results.json").read_text())["classification"]
    readme = (ROOT / "README.md").read_text()
    rows, ensembles = ROW.findall(readme), ENSEMBLE_ROW.findall(readme)
    assert len(rows) == 8
    for name, mean, low, high, seeds, val in rows:
        assert [mean, low, high] == percentages(results[name])
        assert int(seeds) == len(results[name]["seeds"])
        assert val == f"{100 * results[name]['val_accuracy_mean']:.2f}"
    assert len(ensembles) == 4
    for name, *figures in ensembles:
        assert figures == percentages(results[name])


def figures_by_section(report: str) -> list[set[str]]:
    sections = re.sub(r"\]\(figures/[^)]*\)", "]", report).split("\n## ")
    return [set(NUMBER.findall(section)) for section in sections]


@pytest.mark.slow
def test_the_published_report_has_the_figures_of_its_result_files(tmp_path: Path) -> None:
    """The sentences may have changed since; a figure with five decimals may have been published with four."""
    copy = tmp_path / "study"
    shutil.copytree(STUDY, copy, ignore=shutil.ignore_patterns("runs", "report.*", "figures"))
    write_report(copy)
    new, published = (figures_by_section((directory / "report.md").read_text()) for directory in (copy, STUDY))
    new = [section | {f"{float(n):.4f}" for n in section if re.fullmatch(r"\d\.\d{5}", n)} for section in new]
    title, abstract, *sections = published
    assert abstract <= set().union(*new)
    for section, new_section in zip([title, *sections], [new[0], *new[2:]], strict=True):
        assert section <= new_section
    pictures = {path.name for path in (STUDY / "figures").iterdir()}
    assert pictures == {path.name for path in (copy / "figures").iterdir()}


def test_the_test_split_was_opened_once() -> None:
    [opening] = json.loads((STUDY / "ledger.json").read_text())
    assert opening["earlier"] == 0


@pytest.mark.parametrize("path", sorted(STUDY.glob("*.json")) + sorted(STUDY.glob("results/**/*.json")), ids=str)
def test_published_files_hold_no_path_of_a_machine(path: Path) -> None:
    assert not re.search(r'"(/|[A-Za-z]:\\\\)\w+/', path.read_text())
