"""The report is made from the result files alone, and contains no figure that they do not contain."""

import json
import math
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pypandoc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.errors import RunError
from elman.files import write_json
from elman.formatting import count, digits, escaped, excess, nats, percent, plain, points, probability, tenths
from elman.progress import seconds
from elman.report.pages import MARKDOWN
from elman.report.reflections.searches import searched
from elman.report.study import shared_configurations, write_report

NUMBER = re.compile(r"(?<![\w.])-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[-+]\d+)?%?")

CONSTANTS = {"95%", "80%", "99.00%", "0.05", "0.0001"}
"""Levels of intervals, power and good samples, the significance level, and the smallest p-value printed."""


def values(content: Any) -> Iterator[Any]:
    """Yield every number and every text of a result, and the lengths of its lists; curves are not printed."""
    if isinstance(content, dict):
        for name, part in content.items():
            if name not in {"curves", "length_quantiles", "log_odds", "labels"}:
                yield from values(part)
    elif isinstance(content, list):
        yield len(content)
        for part in content:
            yield from values(part)
    elif content is not None:
        yield content


def printed(value: Any) -> Iterator[str]:
    """Yield every form in which the report may print a value."""
    if isinstance(value, bool):
        return
    if isinstance(value, str):
        yield from NUMBER.findall(value)
    elif math.isfinite(value):
        for write in (percent, points, count, tenths, nats, excess, plain, digits, probability, str):
            yield write(value)
        yield from (f"{value:.1f}", f"{value:.2f}", *NUMBER.findall(seconds(value)))


def untraceable(report: str, directory: Path) -> list[str]:
    """Return the numbers of a report that are in no result file of the study."""
    results = [json.loads(path.read_text()) for path in directory.glob("results/*.json")]
    traceable = {text for result in results for value in values(result) for text in printed(value)} | CONSTANTS
    traceable |= {count(len(results)), *NUMBER.findall(seconds(sum(result["seconds"] for result in results)))}
    traceable |= {number for result in results for number in NUMBER.findall(result["digest"][:8])}
    text = re.sub(r"\]\(figures/[^)]*\)", "]", report.replace("\\", ""))
    return [number for number in NUMBER.findall(text) if number not in traceable]


def test_every_number_is_in_a_result_file(smoke_study: Path) -> None:
    report = (smoke_study / "report.md").read_text()
    assert len(NUMBER.findall(report)) > 500
    assert untraceable(report, smoke_study) == []


def test_a_changed_number_is_not_traceable(smoke_study: Path) -> None:
    report = (smoke_study / "report.md").read_text()
    accuracy = json.loads((smoke_study / "results" / "mlp.json").read_text())["figures"]["by_seed"][0]["accuracy"]
    assert percent(accuracy) in report
    impossible = "761.37%"  # a share that no figure can have
    assert set(untraceable(report.replace(percent(accuracy), impossible), smoke_study)) == {impossible}


def test_the_report_needs_only_the_small_files(smoke_study: Path, own_study: Path) -> None:
    for file in [*own_study.glob("report.*"), *own_study.glob("figures/*"), own_study / "study.toml"]:
        file.unlink()
    path = write_report(own_study)
    assert path == own_study / "report.html"
    for name in (
        "report.md",
        "report.html",
        "report.pdf",
        *(f"figures/{p.name}" for p in smoke_study.glob("figures/*")),
    ):
        assert (own_study / name).read_bytes() == (smoke_study / name).read_bytes(), name


def test_missing_failed_and_outdated_steps_are_named_in_their_sections(own_study: Path) -> None:
    results = own_study / "results"
    (results / "elman.json").unlink()
    failed = json.loads((results / "rnn.json").read_text())
    del failed["figures"]
    failed |= {"status": "failed", "problem": "In step 3 the loss became nan.", "remedy": "…"}
    (results / "rnn.json").write_text(json.dumps(failed))
    outdated = json.loads((results / "padding.json").read_text())
    (results / "padding.json").write_text(json.dumps(outdated | {"digest": "another"}))
    (results / "clipping.json").write_text("{")
    for name in ("final-mlp", "final-elman"):
        (results / f"{name}.json").unlink()
    write_report(own_study)
    report = (own_study / "report.md").read_text()
    questions = json.loads((own_study / "study.json").read_text())["questions"]
    titles = {step["name"]: question["title"] for question in questions for step in question["steps"]}
    for names, problem in (
        (["padding"], "another configuration"),
        (["elman"], "no result file"),
        (["rnn"], "the loss became nan"),
        (["clipping"], "no result file"),
        (["final-mlp", "final-elman"], "no result file"),
    ):
        section = report.split(f"\n## {titles[names[0]]}\n")[1].split("\n## ")[0]
        assert re.search(rf"^> \*\*{' and '.join(names)} .*{problem}", section, re.MULTILINE)
    assert report.count(" missing.**") == 5
    assert "padding, elman, rnn, final-mlp, final-elman and clipping" in report[report.index("\n## Limits") :]
    assert f"{len(titles) - 6} of {len(titles)} steps" in report


def test_swapped_test_results_swap_the_conclusions(own_study: Path) -> None:
    paths = [own_study / "results" / f"final-{model}.json" for model in ("mlp", "elman")]
    one, other = (json.loads(path.read_text()) for path in paths)
    expected = one["figures"]["expected"], other["figures"]["expected"]
    one["figures"], other["figures"] = other["figures"], one["figures"]
    one["figures"]["expected"], other["figures"]["expected"] = expected
    before = (own_study / "report.md").read_text()
    assert re.search("^- final-elman classifies .* of the test texts", before, re.MULTILINE)
    for path, result in zip(paths, (one, other), strict=True):
        path.write_text(json.dumps(result))
    write_report(own_study)
    after = (own_study / "report.md").read_text()
    assert re.search("^- final-mlp classifies .* of the test texts", after, re.MULTILINE)
    assert re.search("order differs.* final-mlp is [0-9.]+ percentage points above final-elman", after)
    assert not re.search("order differs", before)
    assert re.search("below the expected interval for [^;.]*final-elman", after)


def test_a_failed_test_evaluation_is_named(own_study: Path) -> None:
    path = own_study / "results" / "final-elman.json"
    failed = json.loads(path.read_text())
    del failed["figures"]
    path.write_text(json.dumps(failed | {"status": "failed", "problem": "The loss became nan.", "remedy": "…"}))
    (own_study / "results" / "expected.json").unlink()
    write_report(own_study)
    report = (own_study / "report.md").read_text()
    assert re.search(r"^> \*\*final-elman .*The loss became nan\.", report, re.MULTILINE)
    assert re.search(r"^> \*\*expected .*no result file", report, re.MULTILINE)
    assert "expected and final-elman" in report[report.index("## Limits") :]


def test_a_question_text_shows_figures_and_names_missing_ones(own_study: Path) -> None:
    study = json.loads((own_study / "study.json").read_text())
    study["questions"][0]["text"] = (
        "Ids: {{ steps.reviews.figures.vocab_size | count }}; {{ steps.none.figures.x | percent }};"
        " {{ steps.none.figures.epochs | length | count }};"
        " {{ steps.reviews.figures.y.z }}."
    )
    (own_study / "study.json").write_text(json.dumps(study))
    write_report(own_study)
    assert "Ids: 51; (not measured); (not measured); (not measured)." in (own_study / "report.md").read_text()


def test_formal_languages_and_texts_have_separate_tables(own_study: Path) -> None:
    study = json.loads((own_study / "study.json").read_text())
    [question] = [q for q in study["questions"] if any(step["name"] == "clipped" for step in q["steps"])]
    result = json.loads((own_study / "results" / "clipped.json").read_text())
    figures = result["figures"]
    bits = figures["summary"]["excess_nats_per_token"] | {"mean": 7.1875, "low": None, "high": None}
    text = {name: figures[name] for name in figures if name not in ("generalisation", "temperatures", "prompts")}
    text |= {"summary": {"val_bits_per_token": bits, "val_perplexity": bits}}
    for place in (0, len(question["steps"])):
        name = f"text-{place}"
        question["steps"].insert(place, question["steps"][0] | {"name": name, "digest": result["digest"]})
        write_json(own_study / "results" / f"{name}.json", result | {"step": name, "figures": text})
    write_json(own_study / "study.json", study)
    write_report(own_study)
    report = (own_study / "report.md").read_text()
    assert report.count("| 7.1875 | 7.1875 |") == 2
    assert report.count("| clipped | 0.0") == 1


def test_the_html_page_is_one_file_with_a_light_and_a_dark_style(smoke_study: Path) -> None:
    page = (smoke_study / "report.html").read_text()
    figures = [*smoke_study.glob("figures/*.svg")]
    assert page.count("<svg") == len(figures) > 10
    assert "<img" not in page
    assert not re.findall(r'(?:src|href)="(?!#)[^"]*"', page)
    assert "@import" not in page
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) | set(re.findall(r"url\(#([^)]+)\)", page)) <= set(ids)
    assert "fill: #ffffff" not in page
    assert "#000000" not in page
    assert page.count("<mark>") == (smoke_study / "report.md").read_text().count('<span class="mark">') >= 1


@pytest.mark.parametrize("rest", [".unk", "(a)", "[b]"])
def test_text_after_a_mark_is_not_typst_code_in_the_pdf(own_study: Path, rest: str) -> None:
    path = own_study / "results" / "clipped.json"
    result = json.loads(path.read_text())
    for group in result["figures"]["samples"]:
        group["strings"] = [{**string, "right": "(", "wrong": ".unk", "rest": rest} for string in group["strings"]]
    path.write_text(json.dumps(result))
    write_report(own_study)
    assert (own_study / "report.pdf").stat().st_size > 10_000


def test_the_document_is_a_pdf(smoke_study: Path) -> None:
    assert (smoke_study / "report.pdf").read_bytes()[:5] == b"%PDF-"


def test_a_directory_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a study"):
        write_report(tmp_path)


@pytest.mark.slow
@settings(max_examples=40)
@given(st.lists(st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=1), min_size=1))
def test_samples_are_not_markdown(samples: list[str]) -> None:
    source = "".join(f"- ✓ {escaped(sample)}\n" for sample in samples)
    [block] = json.loads(pypandoc.convert_text(source, "json", format=MARKDOWN))["blocks"]
    items = [item[0]["c"] for item in block["c"]]
    plain_text = ["".join(" " if part["t"] == "Space" else part["c"] for part in item) for item in items]
    assert plain_text == [f"✓ {sample}" for sample in samples]


def test_searches_with_the_same_range_of_an_option_are_listed_together() -> None:
    steps = {"a": {"space": {"size": "1 to 2", "rate": "3 to 4"}}, "b": {"space": {"size": "1 to 2", "rate": "5"}}}
    assert searched(steps) == [("rate", "3 to 4", ["a"]), ("rate", "5", ["b"]), ("size", "1 to 2", ["a", "b"])]


def test_shared_and_own_configurations_are_complete() -> None:
    options = {"seeds": [1, 2], "space": {"layer": ["lstm", "a b"], "rate": {"low": 0.1, "list": [[1], [2]]}}}
    done = {
        name: {"kind": "search", "config": f'[model]\nlayer = "lstm"\nsize = {size}\n', "options": options}
        for name, size in (("a", 1), ("b", 2))
    }
    [configuration] = shared_configurations(done)
    assert tomllib.loads(configuration["shared"]) == {"model": {"layer": "lstm"}, "step": options}
    assert "seeds = [1, 2]" in configuration["shared"]
    assert [tomllib.loads(own) for own in configuration["own"].values()] == [
        {"model": {"size": 1}},
        {"model": {"size": 2}},
    ]
