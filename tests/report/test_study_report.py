"""The report is made of the result files alone, and says nothing that they do not."""

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

SAID_WITHOUT_FIGURES = {"95%", "99.00%", "0.0001"}
"""How wide the intervals are, from which share on a model is said to have learnt, and the least p-value printed."""


def values(found: Any, key: str = "") -> Iterator[Any]:
    """Yield every number and every text of a result, and how long its lists are; curves are not printed."""
    if isinstance(found, dict):
        for name, part in found.items():
            if name not in {"curves", "length_quantiles", "log_odds", "labels"}:
                yield from values(part, name)
    elif isinstance(found, list):
        yield len(found)
        for part in found:
            yield from values(part, key)
    elif found is not None:
        yield found


def printed(value: Any) -> Iterator[str]:
    """Yield every way in which the report may print a value."""
    if isinstance(value, bool):
        return
    if isinstance(value, str):
        yield from NUMBER.findall(value)
    elif math.isfinite(value):
        for write in (percent, points, count, tenths, nats, excess, plain, digits, probability, str):
            yield write(value)
        yield from (f"{value:.1f}", f"{value:.2f}", *NUMBER.findall(seconds(value)))


def untraceable(report: str, directory: Path) -> list[str]:
    """Return the numbers of a report that stand in no result file of the study."""
    results = [json.loads(path.read_text()) for path in directory.glob("results/*.json")]
    known = {text for result in results for value in values(result) for text in printed(value)} | SAID_WITHOUT_FIGURES
    known |= {count(len(results)), *NUMBER.findall(seconds(sum(result["seconds"] for result in results)))}
    known |= {number for result in results for number in NUMBER.findall(result["digest"][:8])}
    text = re.sub(r"\]\(figures/[^)]*\)", "]", report.replace("\\", ""))
    return [number for number in NUMBER.findall(text) if number not in known]


def test_every_number_stands_in_a_result_file(smoke_study: Path) -> None:
    report = (smoke_study / "report.md").read_text()
    assert len(NUMBER.findall(report)) > 500
    assert untraceable(report, smoke_study) == []


def test_a_number_that_stands_in_none_is_found(smoke_study: Path) -> None:
    report = (smoke_study / "report.md").read_text()
    accuracy = json.loads((smoke_study / "results" / "mlp.json").read_text())["figures"]["by_seed"][0]["accuracy"]
    assert percent(accuracy) in report
    no_share = "761.37%"  # so it cannot be among the figures by chance
    assert set(untraceable(report.replace(percent(accuracy), no_share), smoke_study)) == {no_share}


def test_it_needs_the_small_files_alone(smoke_study: Path, own_study: Path) -> None:
    for made in [*own_study.glob("report.*"), *own_study.glob("figures/*"), own_study / "study.toml"]:
        made.unlink()
    path = write_report(own_study)
    assert path == own_study / "report.html"
    for file in (
        "report.md",
        "report.html",
        "report.pdf",
        *(f"figures/{p.name}" for p in smoke_study.glob("figures/*")),
    ):
        assert (own_study / file).read_bytes() == (smoke_study / file).read_bytes(), file


def test_what_is_missing_failed_or_of_another_configuration_is_said_in_its_place(own_study: Path) -> None:
    results = own_study / "results"
    (results / "elman.json").unlink()
    failed = json.loads((results / "rnn.json").read_text())
    del failed["figures"]
    failed |= {"status": "failed", "problem": "In step 3 the loss became nan.", "remedy": "…"}
    (results / "rnn.json").write_text(json.dumps(failed))
    stale = json.loads((results / "padding.json").read_text())
    (results / "padding.json").write_text(json.dumps(stale | {"digest": "another"}))
    (results / "clipping.json").write_text("{")
    for final in ("final-mlp", "final-elman"):
        (results / f"{final}.json").unlink()
    write_report(own_study)
    report = (own_study / "report.md").read_text()
    place = report.index("## Which model reads")
    assert "> **elman is not here.** There is no result file: not done yet, or lost." in report[place:]
    assert "> **rnn is not here.** In step 3 the loss became nan." in report[place:]
    assert "> **padding is not here.** The result file there is of another configuration." in report[:place]
    assert "> **clipping is not here.**" in report[place:]
    assert "> **final-mlp and final-elman are not here.** There is no result file" in report[place:]
    assert "mlp, lstm and lstm-pretrained were trained" in report
    assert "Not here: padding, elman, rnn, final-mlp, final-elman and clipping." in report
    steps = sum(len(question["steps"]) for question in json.loads((own_study / "study.json").read_text())["questions"])
    assert f"{steps - 6} of {steps} steps are done" in report


def test_test_figures_turned_around_turn_the_conclusion_around(own_study: Path) -> None:
    """Not a sentence is written beforehand: the pooled network given the Elman's figures, the report says so."""
    paths = [own_study / "results" / f"final-{model}.json" for model in ("mlp", "elman")]
    one, other = (json.loads(path.read_text()) for path in paths)
    kept = one["figures"]["expected"], other["figures"]["expected"]
    one["figures"], other["figures"] = other["figures"], one["figures"]
    one["figures"]["expected"], other["figures"]["expected"] = kept
    before = (own_study / "report.md").read_text()
    assert "- final-elman classifies" in before
    assert "- They came in the order that was expected." in before
    for path, result in zip(paths, (one, other), strict=True):
        path.write_text(json.dumps(result))
    write_report(own_study)
    after = (own_study / "report.md").read_text()
    assert "- final-mlp classifies" in after
    assert "- Not all came in the order that was expected: " in after
    assert "final-mlp before final-elman (by" in after
    assert "final-elman below" in after


def test_of_a_test_that_failed_the_place_says_so(own_study: Path) -> None:
    path = own_study / "results" / "final-elman.json"
    failed = json.loads(path.read_text())
    del failed["figures"]
    path.write_text(json.dumps(failed | {"status": "failed", "problem": "The loss became nan.", "remedy": "…"}))
    (own_study / "results" / "expected.json").unlink()
    write_report(own_study)
    report = (own_study / "report.md").read_text()
    place = report.index("## What does the test say?")
    assert "> **final-elman is not here.** The loss became nan." in report[place:]
    assert "> **expected is not here.**" in report[place:]
    assert "Not here: expected and final-elman." in report


def test_a_text_may_name_a_figure_and_says_where_it_is_not_there(own_study: Path) -> None:
    study = json.loads((own_study / "study.json").read_text())
    study["questions"][0]["text"] = (
        "Ids: {{ steps.reviews.figures.vocab_size | count }}; {{ steps.none.figures.x | percent }};"
        " {{ steps.none.figures.epochs | length | count }};"
        " {{ steps.reviews.figures.y.z }}."
    )
    (own_study / "study.json").write_text(json.dumps(study))
    write_report(own_study)
    assert "Ids: 51; (not measured); (not measured); (not measured)." in (own_study / "report.md").read_text()


def test_models_of_a_known_law_and_of_text_stand_in_tables_of_their_own(own_study: Path) -> None:
    study = json.loads((own_study / "study.json").read_text())
    [question] = [each for each in study["questions"] if any(step["name"] == "clipped" for step in each["steps"])]
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


def test_the_page_is_one_file_for_light_and_dark(smoke_study: Path) -> None:
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
def test_what_follows_a_mark_is_text_in_the_pdf_too(own_study: Path, rest: str) -> None:
    path = own_study / "results" / "clipped.json"
    result = json.loads(path.read_text())
    for group in result["figures"]["samples"]:
        group["strings"] = [{**string, "right": "(", "wrong": ".unk", "rest": rest} for string in group["strings"]]
    path.write_text(json.dumps(result))
    write_report(own_study)
    assert (own_study / "report.pdf").stat().st_size > 10_000


def test_the_document_is_a_pdf(smoke_study: Path) -> None:
    assert (smoke_study / "report.pdf").read_bytes()[:5] == b"%PDF-"


def test_no_study_no_report(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no study's directory"):
        write_report(tmp_path)


@settings(max_examples=40)
@given(st.lists(st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=1), min_size=1))
def test_no_sign_of_a_sample_means_anything_to_markdown(samples: list[str]) -> None:
    source = "".join(f"- ✓ {escaped(sample)}\n" for sample in samples)
    found = json.loads(pypandoc.convert_text(source, "json", format=MARKDOWN))
    [block] = found["blocks"]
    items = [item[0]["c"] for item in block["c"]]
    plain_text = ["".join(" " if part["t"] == "Space" else part["c"] for part in item) for item in items]
    assert plain_text == [f"✓ {sample}" for sample in samples]


def test_options_that_were_searched_alike_stand_together() -> None:
    steps = {"a": {"space": {"size": "1 to 2", "rate": "3 to 4"}}, "b": {"space": {"size": "1 to 2", "rate": "5"}}}
    assert searched(steps) == [("rate", "3 to 4", ["a"]), ("rate", "5", ["b"]), ("size", "1 to 2", ["a", "b"])]


def test_configurations_come_back_from_what_is_shown_of_them() -> None:
    options = {"seeds": [1, 2], "space": {"layer": ["lstm", "a b"], "rate": {"low": 0.1, "list": [[1], [2]]}}}
    done = {
        name: {"kind": "search", "config": f'[model]\nlayer = "lstm"\nsize = {size}\n', "options": options}
        for name, size in (("a", 1), ("b", 2))
    }
    [found] = shared_configurations(done)
    assert tomllib.loads(found["shared"]) == {"model": {"layer": "lstm"}, "step": options}
    assert "seeds = [1, 2]" in found["shared"]
    assert [tomllib.loads(own) for own in found["own"].values()] == [{"model": {"size": 1}}, {"model": {"size": 2}}]
