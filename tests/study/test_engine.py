"""A study repeats no finished step, repeats exactly what a change affects, and continues after a failed step."""

import json
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elman import training
from elman.errors import ConfigError, DataError, RunError
from elman.files import locked_directory
from elman.study import engine, parse_study, read_study, run_study, work
from elman.study.kinds import KINDS, Kind

TINY = """
title = "Two"
[bases.reviews]
data = { name = "imdb" }
batches = { tokens_per_batch = 400 }
model = { embedding_size = 8, hidden_size = 8 }
loop = { epochs = 1 }
[fallbacks.reviews]
data = { name = "negation", synthetic_size = 200 }
[[questions]]
title = "Which?"
base = "reviews"
kind = "classifier"
steps = [
  { name = "one", model = { layer = "mlp" } },
  { name = "two", model = { layer = "elman" } },
  { name = "ranking", kind = "comparison", base = "reviews", needs = ["one", "two"] },
]
"""


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "write_report", lambda directory: directory / "report.html")


@dataclass(frozen=True, kw_only=True)
class NoteOptions:
    """The options of the steps of these tests."""

    text: str = ""


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Add a kind of step that only notes that it ran; with the text "fail" it fails."""
    names: list[str] = []

    def note(work: Any) -> dict[str, Any]:
        if work.options.text == "fail":
            raise DataError("It is broken.", "Fix it.")
        names.append(work.name)
        return {"read": [need["figures"] for need in work.needs.values()]}

    monkeypatch.setitem(KINDS, "note", Kind(note, NoteOptions, None))
    return names


def study_of_notes(steps: dict[str, tuple[str, list[str]]]) -> str:
    """Return a study file whose steps have a text and needs."""
    lines = [
        f'{{ name = "{name}", text = "{text}", needs = {json.dumps(needs)} }}' for name, (text, needs) in steps.items()
    ]
    return f'[[questions]]\nkind = "note"\nsteps = [{", ".join(lines)}]'


def test_two_processes_cannot_run_the_same_study(tmp_path: Path) -> None:
    with locked_directory(tmp_path, "worked on"), pytest.raises(RunError, match="worked on by another process"):
        run_study(read_study("smoke"), tmp_path)
    assert not (tmp_path / "study.json").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("no_network")
def test_a_study_without_imdb_runs_on_the_fallback_and_says_so(tmp_path: Path) -> None:
    lines: list[str] = []
    path = run_study(parse_study(TINY, "tiny"), tmp_path / "study", lines.append)
    assert lines[0].startswith("NOTE: IMDb is not in the cache")
    assert "generated reviews" in lines[-1]
    assert path.name == "report.html"
    report = path.with_name("report.md").read_text()
    assert "**Not on IMDb.**" in report
    results = json.loads((path.parent / "results" / "one.json").read_text())
    assert results["figures"]["data"]["name"] == "negation"


@pytest.mark.usefixtures("no_network", "no_report")
def test_only_a_changed_run_is_trained_again(tmp_path: Path) -> None:
    run_study(parse_study(TINY, "tiny"), tmp_path, lambda _: None)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/weights.safetensors")}
    lines: list[str] = []
    run_study(parse_study(TINY, "tiny"), tmp_path, lines.append)
    assert sum("done already" in line for line in lines) == 3
    changed = TINY.replace('layer = "elman"', 'layer = "elman", hidden_size = 9')
    lines.clear()
    run_study(parse_study(changed, "tiny"), tmp_path, lines.append)
    assert [line.split()[1] for line in lines if "done already" in line] == ["one:"]
    after = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/weights.safetensors")}
    assert len(after) == 3
    assert all(after[path] == time for path, time in before.items())


@pytest.mark.usefixtures("no_report")
def test_a_study_resumes_from_its_result_files_without_its_runs(smoke_study: Path, own_study: Path) -> None:
    before = {path.name: path.read_bytes() for path in own_study.glob("results/*.json")}
    lines: list[str] = []
    run_study(read_study("smoke"), own_study, lines.append)
    assert not (own_study / "runs").exists()
    assert {path.name: path.read_bytes() for path in own_study.glob("results/*.json")} == before
    assert sum(len(content) for content in before.values()) < 1_000_000
    (own_study / "results" / "strings.json").unlink()
    lines.clear()
    run_study(read_study("smoke"), own_study, lines.append)
    done = [line.split("] ")[1] for line in lines if line.startswith("[") and "done already" not in line]
    assert done == ["strings"]


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_a_saved_seed_is_never_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interruption costs only the seed that was being trained, even if the runs are lost."""
    text = TINY.replace('name = "imdb"', 'name = "negation", synthetic_size = 200').replace(
        'name = "one",', 'name = "one", seeds = [0, 1, 2],'
    )
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run_study(parse_study(text, "tiny"), whole, lambda _: None)

    trained: list[int] = []

    def train(run: Any, *arguments: Any, **options: Any) -> Any:
        if run.config.loop.seed == 1 and not trained:
            raise KeyboardInterrupt
        trained.append(run.config.loop.seed)
        return training.train(run, *arguments, **options)

    monkeypatch.setattr(work, "train", train)
    only_first = text.replace("[0, 1, 2]", "[0, 2]")
    run_study(parse_study(only_first, "tiny"), parts, lambda _: None)
    shutil.rmtree(parts / "runs")
    (parts / "results" / "one.json").unlink()
    trained.clear()
    with pytest.raises(KeyboardInterrupt):
        run_study(parse_study(text, "tiny"), parts, lambda _: None)
    assert sorted(path.name for path in parts.glob("results/one/*")) == ["seed-0.json", "seed-2.json"]
    trained.append(-1)  # from here on nothing is interrupted
    run_study(parse_study(text, "tiny"), parts, lambda _: None)
    assert trained == [-1, 1]  # step two was done too, and needs nothing of it
    results = [json.loads((place / "results" / "one.json").read_text()) for place in (whole, parts)]
    assert results[0]["figures"]["summary"]["val_accuracy"] == results[1]["figures"]["summary"]["val_accuracy"]
    saved = [json.loads((parts / "results" / "one" / f"seed-{seed}.json").read_text()) for seed in range(3)]
    assert results[1]["seconds"] >= sum(seed["seconds"] for seed in saved)
    changed = text.replace('layer = "mlp"', 'layer = "mlp", hidden_size = 9')
    trained.clear()
    trained.append(-1)
    run_study(parse_study(changed, "tiny"), parts, lambda _: None)
    assert trained == [-1, 0, 1, 2]


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_several_processes_train_only_the_missing_seeds(tmp_path: Path) -> None:
    text = TINY.replace('name = "imdb"', 'name = "negation", synthetic_size = 200').replace(
        "hidden_size = 8 }",
        "hidden_size = 64 }",  # with less it would have one thread anyway
    )
    lines: list[str] = []

    def run(seeds: str, processes: int) -> list[str]:
        lines.clear()
        named = text.replace('name = "one",', f'name = "one", seeds = {seeds},')
        run_study(parse_study(f"processes = {processes}{named}", "tiny"), tmp_path, lines.append)
        return sorted(line[:6] for line in lines if "training:" in line)

    run("[0, 1]", 2)
    assert run("[0, 1, 2, 3]", 2) == ["seed 2", "seed 3"]
    (tmp_path / "results" / "one" / "seed-2.json").unlink()
    (tmp_path / "results" / "one.json").unlink()
    shutil.rmtree(tmp_path / "runs")
    assert run("[0, 1, 2, 3]", 2) == ["seed 2"]  # on one thread, as the others
    figures = json.loads((tmp_path / "results" / "one.json").read_text())["figures"]
    assert [seed["seed"] for seed in figures["by_seed"]] == [0, 1, 2, 3]
    assert run("[0, 1, 2, 3]", 1) == []  # the number of processes does not affect the digest
    assert all("done already" in line for line in lines if line.startswith("["))
    assert (figures["threads"], figures["precision"]) == ([1], ["float32"])


@pytest.mark.slow
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
@pytest.mark.usefixtures("no_report")
def test_a_change_repeats_exactly_the_steps_that_depend_on_it(
    noted: list[str], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    names = "abcdefg"
    needs = {
        name: data.draw(st.lists(st.sampled_from(names[:place]), unique=True) if place else st.just([]))
        for place, name in enumerate(names)
    }
    changed = data.draw(st.sampled_from(names))
    directory = tmp_path_factory.mktemp("steps")
    for text in ("before", "after"):
        noted.clear()
        steps = {name: (text if name == changed else "", needs[name]) for name in names}
        run_study(parse_study(study_of_notes(steps), "notes"), directory, lambda _: None)
        if text == "before":
            assert noted == list(names)
    affected = {changed}
    for name in names:
        if affected & set(needs[name]):
            affected.add(name)
    assert noted == [name for name in names if name in affected]


@pytest.mark.usefixtures("no_report")
def test_a_step_is_repeated_if_the_figures_that_it_needs_have_changed(noted: list[str], tmp_path: Path) -> None:
    steps = {"search": ("", []), "of-search": ("", ["search"]), "other": ("", [])}
    study = parse_study(study_of_notes(steps), "notes")
    run_study(study, tmp_path, lambda _: None)
    path = tmp_path / "results" / "search.json"
    result = json.loads(path.read_text())
    path.write_text(json.dumps(result | {"figures": {"read": ["changed"]}}))
    noted.clear()
    run_study(study, tmp_path, lambda _: None)
    assert noted == ["of-search"]


@pytest.mark.usefixtures("no_report")
def test_another_number_of_processes_repeats_nothing(tmp_path: Path) -> None:
    study = parse_study(TINY, "tiny")
    run_study(study, tmp_path, lambda _: None)
    parallel = study.with_processes(3)
    assert {step.options.processes for step in parallel.steps if hasattr(step.options, "processes")} == {3}
    lines: list[str] = []
    run_study(parallel, tmp_path, lines.append)
    assert sum("done already" in line for line in lines) == len(study.steps)
    with pytest.raises(ConfigError, match="processes cannot be"):
        study.with_processes(0)


@pytest.mark.usefixtures("no_report")
def test_another_device_repeats_nothing_and_trains_new_runs(tmp_path: Path) -> None:
    study = parse_study(TINY, "tiny")
    here, there = tmp_path / "here", tmp_path / "there"
    run_study(study, here, lambda _: None)
    lines: list[str] = []
    run_study(study.with_accelerator("auto"), here, lines.append)
    assert sum("done already" in line for line in lines) == len(study.steps)
    run_study(study.with_accelerator("auto"), there, lambda _: None)
    configs = [path.read_text() for path in there.glob("runs/*/config.toml")]
    assert configs
    assert all('accelerator = "auto"' in config for config in configs)
    results = [json.loads(path.read_text())["config"] for path in sorted(there.glob("results/*.json"))]
    assert results == [json.loads(path.read_text())["config"] for path in sorted(here.glob("results/*.json"))]


@pytest.mark.usefixtures("no_report")
def test_a_study_continues_after_a_failed_step_and_repeats_it_next_time(noted: list[str], tmp_path: Path) -> None:
    lines: list[str] = []
    steps = {"good": ("", []), "bad": ("fail", []), "after-bad": ("", ["bad"]), "last": ("", ["good"])}
    with pytest.raises(RunError, match="2 of 4 steps failed: bad, after-bad"):
        run_study(parse_study(study_of_notes(steps), "notes"), tmp_path, lines.append)
    assert noted == ["good", "last"]
    assert "FAILED: bad: It is broken. Fix it." in lines
    steps["bad"] = ("fixed", [])
    run_study(parse_study(study_of_notes(steps), "notes"), tmp_path, lines.append)
    assert noted == ["good", "last", "bad", "after-bad"]


@pytest.mark.usefixtures("no_report")
def test_a_changed_model_does_not_repeat_steps_on_the_data(tmp_path: Path) -> None:
    text = """
        [bases.strings]
        data = { name = "brackets", strings = 30, held_out_strings = 5 }
        model = { hidden_size = 8 }
        [[questions]]
        base = "strings"
        steps = [{ name = "data", kind = "data" }, { name = "padding", kind = "padding", batch_sizes = [2] }]
    """
    lines: list[str] = []
    for variant in (text, text.replace("= 8", "= 9"), text.replace("strings = 30", "strings = 31")):
        lines.clear()
        run_study(parse_study(variant, "study"), tmp_path, lines.append)
        assert sum("done already" in line for line in lines) == (2 if "= 9" in variant else 0)


@pytest.mark.usefixtures("no_report")
def test_a_step_gets_the_results_that_it_needs(noted: list[str], tmp_path: Path) -> None:
    run_study(parse_study(study_of_notes({"a": ("", []), "b": ("", ["a"])}), "notes"), tmp_path, lambda _: None)
    result = json.loads((tmp_path / "results" / "b.json").read_text())
    assert result["figures"] == {"read": [{"read": []}]}
    assert list(result["needs"]) == ["a"]
    assert {"digest", "machine", "seconds", "time", "options", "config"} <= set(result)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
@pytest.mark.usefixtures("no_report")
def test_an_interrupt_or_a_bug_stops_the_study_and_writes_no_result(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: type[BaseException]
) -> None:
    def stop(work: Any) -> dict[str, Any]:
        raise error

    monkeypatch.setitem(KINDS, "note", Kind(stop, NoteOptions, None))
    with pytest.raises(error):
        run_study(parse_study(study_of_notes({"a": ("", [])}), "notes"), tmp_path, lambda _: None)
    assert not list(tmp_path.glob("results/*"))


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize("damaged", ['{"digest": "', "[]", "", '{"digest": "x"}'])
def test_a_step_with_a_damaged_result_is_repeated(noted: list[str], tmp_path: Path, damaged: str) -> None:
    study = parse_study(study_of_notes({"a": ("", [])}), "notes")
    run_study(study, tmp_path, lambda _: None)
    (tmp_path / "results" / "a.json").write_text(damaged)
    run_study(study, tmp_path, lambda _: None)
    assert noted == ["a", "a"]


@pytest.mark.usefixtures("no_network", "no_report")
def test_results_on_imdb_are_not_mixed_with_those_on_the_fallback(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = parse_study(TINY, "tiny")
    monkeypatch.setenv("ELMAN_IMDB", str(archive))
    run_study(study, tmp_path / "study", lambda _: None)
    monkeypatch.delenv("ELMAN_IMDB")
    monkeypatch.setenv("ELMAN_CACHE", str(tmp_path / "empty"))
    run_study(study, tmp_path / "study", lambda _: None)  # all steps are finished, so no data is needed
    (tmp_path / "study" / "results" / "two.json").unlink()
    with pytest.raises(DataError, match="not in the cache"):
        run_study(study, tmp_path / "study", lambda _: None)
    shorter = parse_study(TINY.replace('name = "imdb"', 'name = "imdb", max_length = 5'), "tiny")
    assert shorter != study
    with pytest.raises(DataError, match="not in the cache"):  # results of another configuration are not replaced either
        run_study(shorter, tmp_path / "study", lambda _: None)


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_changed_rules_of_a_language_file_repeat_its_steps(tmp_path: Path) -> None:
    law = tmp_path / "even_ones.toml"
    law.write_text((Path(__file__).parents[2] / "docs" / "languages" / "even_ones.toml").read_text())
    text = f"[[questions]]\nsteps = [{{ name = 'strings', kind = 'data', data = {{ name = '{law}', strings = 50 }} }}]"
    checksums = []
    rarer = law.read_text().replace('even" = 0.45', 'even" = 0.35').replace('odd" = 0.45', 'odd" = 0.55')
    for rules in (law.read_text(), law.read_text(), rarer):
        law.write_text(rules)
        run_study(parse_study(text, "mine"), tmp_path / "study", lambda _: None)
        result = json.loads((tmp_path / "study" / "results" / "strings.json").read_text())
        checksums.append(result["figures"]["checksum"])
        assert (tmp_path / "study" / "language" / "even_ones.toml").read_text() == rules
    assert checksums[0] == checksums[1] != checksums[2]


@pytest.mark.usefixtures("no_report")
def test_a_seed_that_was_saved_on_other_data_is_trained_again(
    tmp_path: Path, make_archive: Any, reviews: dict[str, bytes]
) -> None:
    first = make_archive(reviews, "first.tar.gz")
    name = next(name for name in reviews if "/train/pos/" in name)
    other = make_archive({**reviews, name: b"An altogether different review."}, "other.tar.gz")
    text = TINY.replace('name = "one",', 'name = "one", seeds = [0],')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ELMAN_IMDB", str(first))
        run_study(parse_study(text, "tiny"), tmp_path / "study", lambda _: None)
        patch.setenv("ELMAN_IMDB", str(other))
        lines: list[str] = []
        with pytest.raises(RunError, match="1 of 3 steps failed: ranking"):  # step two is of the first archive
            run_study(parse_study(text.replace("[0]", "[0, 1]"), "tiny"), tmp_path / "study", lines.append)
    assert not any("done already: seed" in line for line in lines)


def test_a_wrong_path_to_imdb_is_an_error_and_does_not_use_the_fallback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELMAN_IMDB", "nowhere.tar.gz")
    with pytest.raises(DataError, match="no IMDb archive at nowhere"):
        run_study(parse_study(TINY, "tiny"), tmp_path / "study", lambda _: None)
    assert not (tmp_path / "study").exists()


def test_the_smoke_study_learns_and_has_every_kind_of_step(smoke_study: Path) -> None:
    """The reviews need the order of words, so recurrent networks classify them and bags of words do not."""
    results = json.loads((smoke_study / "results.json").read_text())
    reviews, languages = results["classification"], results["language_models"]
    assert reviews["mlp"]["val_accuracy_mean"] < 0.6
    assert min(reviews[name]["val_accuracy_mean"] for name in ("elman", "rnn", "lstm")) > 0.99
    assert languages["clipped"]["seeds"] == [0, 1]
    assert languages["clipped"]["grammatical_share_mean"] > 0.9
    assert 0 <= languages["clipped"]["excess_nats_per_token_mean"] < 0.05
    kinds = {json.loads(path.read_text())["kind"] for path in smoke_study.glob("results/*.json")}
    assert kinds == set(KINDS)


def test_the_quick_study_compares_four_models_on_imdb_or_generated_reviews() -> None:
    study = read_study("quick")
    models = [step for step in study.steps if step.kind == "classifier"]
    assert [step.name for step in models] == ["mlp", "elman", "rnn", "lstm"]
    assert {step.config.data.name for step in models} == {"imdb"}
    assert {step.fallback.data.name for step in models} == {"synth-reviews"}


def test_the_full_study_evaluates_exactly_the_preregistered_models_on_the_test_split() -> None:
    study = read_study("full")
    steps = {step.name: step for step in study.steps}
    [expected] = [step for step in study.steps if step.kind == "preregistration"]
    evaluations = [step for step in study.steps if step.kind == "test-evaluation"]
    assert {step.source for step in evaluations} == set(expected.needs)
    assert all(expected.name in step.needs for step in evaluations)
    for model in ("mlp", "elman", "lstm"):
        evaluation, validated = steps[f"final-{model}"], steps[model]
        assert len(evaluation.options.seeds) >= 5
        assert steps[validated.source].kind == "search"
        assert (evaluation.config.model.layer, evaluation.config.loop.keep) == (model, "last")
        assert (steps[validated.source].config.loop.keep, steps[validated.source].config.loop.seed) == ("last", 0)
        assert 0 not in validated.options.seeds
    searches = {step.name: step.options for step in study.steps if step.kind == "search"}
    assert len({options.seconds for options in searches.values()}) == 1
    compared = [searches[f"search-{layer}"].space for layer in ("elman", "rnn", "gru")]
    assert all(space == searches["search-lstm"].space for space in compared)
    assert {step.kind for step in study.steps} == set(KINDS)


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_parallel_seeds_start_from_one_shared_training(tmp_path: Path) -> None:
    text = TINY.replace('name = "imdb"', 'name = "negation", synthetic_size = 200').replace(
        '{ name = "two", model = { layer = "elman" } }',
        '{ name = "two", seeds = [0, 1], model = { layer = "elman" }, loop = { pretrain_epochs = 1 } }',
    )
    lines: list[str] = []
    run_study(parse_study(f"processes = 2{text}", "tiny"), tmp_path, lines.append)
    pretraining = [line for line in lines if "pretrain" in line]
    assert pretraining[0].startswith("pretraining: ")
    assert sorted(line.partition(" from ")[0] for line in pretraining[1:]) == ["seed 0  starts", "seed 1  starts"]
    figures = json.loads((tmp_path / "results" / "two.json").read_text())["figures"]
    assert figures["pretraining"]["epochs"] == 1
    assert json.loads((tmp_path / "results" / "one.json").read_text())["figures"]["pretraining"] is None
