"""Language models from the training strings to figures and grades."""

import itertools
import json
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from elman import training
from elman.config import RunConfig, SamplingConfig
from elman.data.table import open_dataset
from elman.errors import ConfigError, ElmanError, Interrupted
from elman.evaluation import evaluate
from elman.grading import TEMPERATURES, Judge, compare_lengths, grade, total_variation, write
from elman.languages import language
from elman.models.fast.models import LanguageModel
from elman.presets import preset
from elman.runs import Run
from elman.sampling import Sample
from elman.tasks import Task, build_task
from elman.tasks.language_modeling import LanguageModeling
from elman.text.batching import Batches
from elman.text.vocab import PAD
from elman.training import train

QUICK = {
    "data": {"strings": 2_000, "held_out_strings": 500},
    "batches": {"tokens_per_batch": 1_000},
    "optim": {"learning_rate": 0.02},
    "loop": {"epochs": 2, "threads": 1, "samples": 50, "max_new_tokens": 60, "log_every": 1},
}


HEAVY = ["lightning_fabric", "tensorboard", "optuna", "matplotlib"]

Command = Callable[..., tuple[int, str, str]]


def config_of(name: str = "brackets", **tables: dict[str, object]) -> RunConfig:
    merged = {key: {**QUICK.get(key, {}), **tables.get(key, {})} for key in {*QUICK, *tables}}
    return preset(name).with_tables(merged, "test")


def trained(path: Path, config: RunConfig) -> tuple[Run, list[str]]:
    run, lines = Run.create(path, config, open_dataset(config.data)), []
    train(run, run.open_dataset(), report=lines.append)
    return run, lines


@pytest.fixture(scope="module")
def brackets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, list[str]]:
    return trained(tmp_path_factory.mktemp("runs") / "brackets", config_of())


def test_every_epoch_prints_floor_excess_and_ten_marked_samples(brackets: tuple[Run, list[str]]) -> None:
    run, lines = brackets
    first, second = run.metrics("epoch")
    floor = language("brackets").floor_nats_per_token()
    assert first["val_floor_nats_per_token"] == pytest.approx(floor)
    assert first["val_excess_nats_per_token"] > second["val_excess_nats_per_token"] > 0
    assert second["val_excess_low"] < second["val_excess_nats_per_token"] < second["val_excess_high"]
    assert second["val_cross_entropy_nats"] == pytest.approx(floor + second["val_excess_nats_per_token"], rel=0.1)
    for epoch, start in ((first, 0), (second, 13)):
        assert "excess" in lines[start]
        assert f"floor {floor:.4f}" in lines[start]
        shown = lines[start + 1 : start + 11]
        assert [line.strip() for line in shown] == [line.strip() for line in epoch["val_shown"]]
        for line in shown:
            mark, _, string = line.strip().partition(" ")
            balanced = language("brackets").is_member(string)
            assert mark in (("✓", "…") if balanced else ("✗", "…"))
        counts = ["grammatical", "cut off", "novel", "distinct"]
        assert all(f"{epoch['val_' + name.replace(' ', '_')]} {name}" in lines[start + 11] for name in counts)
        assert "course's test" in lines[start + 12]


def test_the_training_loss_is_a_mean_over_unpadded_targets(brackets: tuple[Run, list[str]]) -> None:
    run, _ = brackets
    steps, epochs = run.metrics("step"), run.metrics("epoch")
    task = LanguageModeling(run.config, run.open_dataset())
    targets = [int((task.train.sequences.lengths[i] - 1).sum()) for i in task.train.epoch(0)]
    mean = np.average([step["loss_nats"] for step in steps[: len(targets)]], weights=targets)
    assert epochs[0]["train_loss_nats"] == pytest.approx(mean)


def test_evaluate_measures_the_validation_strings(brackets: tuple[Run, list[str]]) -> None:
    run, _ = brackets
    figures = evaluate(run, "val")
    best = run.result("training")
    for name in ("cross_entropy_nats", "excess_nats_per_token", "excess_low"):
        assert figures[name] == pytest.approx(best[f"val_{name}"], rel=1e-5)


@pytest.mark.parametrize("mask", [True, False])
def test_the_loss_equals_the_loss_of_the_course(mask: bool) -> None:
    """The course shifts the batch left with a column of zeros and averages over all cells, or over unmasked ones.

    It reads all strings of a batch, while the task reads equal strings once.
    """
    config = config_of(batches={"mask_padding": mask})
    task = LanguageModeling(config, open_dataset(config.data))
    torch.manual_seed(0)
    model = LanguageModel(config.model, len(task.dataset.vocab))
    plan = task.train.epoch(0)[:1]
    [batch], [distinct] = Batches(task.train.sequences, config.batches, 0).read(plan), task.train.read(plan)
    assert len(distinct.lengths) < len(batch.lengths)
    assert distinct.tokens == batch.tokens
    [piece] = task.pieces(distinct)
    loss, right, _ = task.loss(model, piece, ())
    shifted = torch.cat([batch.token_ids[:, 1:], torch.zeros(len(batch.token_ids), 1, dtype=torch.long)], dim=1)
    scores, _ = model(batch.token_ids)
    expected = F.cross_entropy(scores.transpose(1, 2), shifted, reduction="none")
    counted = shifted != PAD if mask else torch.ones_like(shifted, dtype=torch.bool)
    torch.testing.assert_close(loss.mean, expected[counted].mean())
    assert loss.count == right.count == int(counted.sum())
    assert int(right.sum) == int((scores.argmax(-1) == shifted)[counted].sum())


@pytest.mark.slow
@pytest.mark.parametrize(
    "tables",
    [{"batches": {"bptt": 4}}, {"model": {"word_dropout": 0.01}, "batches": {"tokens_per_batch": 50}}],
    ids=["bptt", "word dropout"],
)
def test_row_wise_training_is_dense_training(tables: dict[str, dict[str, object]], tmp_path: Path) -> None:
    """A row that is read before its delayed updates would change the losses after it."""
    losses = []
    for row_wise in (False, True):
        optim = {"row_wise_embedding": row_wise, "ema_decay": 0.0, "learning_rate": 0.003}
        config = config_of("toy-words", **tables, data={"strings": 60, "held_out_strings": 10}, optim=optim)
        run, _ = trained(tmp_path / f"{row_wise}", config)
        losses.append([figures["loss_nats"] for figures in run.metrics("step")])
    dense, row_wise = torch.tensor(losses, dtype=torch.float64)
    torch.testing.assert_close(row_wise, dense, rtol=0, atol=2e-5)


@pytest.mark.parametrize("dropout", ["word_dropout", "embedding_dropout", "top_dropout"])
def test_equal_strings_are_read_separately_with_dropout(dropout: str) -> None:
    config = config_of(model={dropout: 0.1})
    assert LanguageModeling(config, open_dataset(config.data)).train.kinds is None
    assert LanguageModeling(config_of(), open_dataset(config.data)).train.kinds is not None


VARIANTS = {
    "bptt": {"batches": {"bptt": 7}},
    "bptt with a last chunk of one step, bf16": {
        "batches": {"bptt": 2, "tokens_per_batch": 60},
        "loop": {"precision": "bf16"},
    },
    **{
        f"{cell}, bptt, bf16": {
            "model": {"layer": cell},
            "batches": {"bptt": 4, "tokens_per_batch": 100},
            "loop": {"precision": "bf16"},
        }
        for cell in ("rnn", "gru")
    },
    "packed": {"batches": {"packed": True}},
    "sum": {"model": {"num_layers": 2, "stack": "sum", "top_dropout": 0.1, "embedding_dropout": 0.1}},
    "tied": {"model": {"tied": True, "embedding_size": 16}, "optim": {"row_wise_embedding": True}},
    "row-wise": {"optim": {"row_wise_embedding": True}},
    "unmasked": {"batches": {"mask_padding": False}},
    "curriculum": {"batches": {"curriculum_epochs": 1}, "optim": {"ema_decay": 0.9}},
    **{cell: {"model": {"layer": cell}} for cell in ("elman", "rnn", "gru")},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_learns_and_resumes_to_the_same_bits(name: str, tmp_path: Path) -> None:
    config = config_of(**VARIANTS[name])
    whole, _ = trained(tmp_path / "whole", config)
    first, last = whole.metrics("step")[0], whole.metrics("epoch")[-1]
    assert last["train_loss_nats"] < 0.8 * first["loss_nats"]
    dataset = open_dataset(config.data)
    part = Run.create(tmp_path / "part", config, dataset)
    with pytest.MonkeyPatch.context() as patch:

        def stop(session: training.Session) -> None:
            if session.state.position.totals.batches == 5:
                session.interrupted.set()
            original(session)

        original = training.save_if_due
        patch.setattr(training, "save_if_due", stop)
        with pytest.raises(Interrupted):
            train(part, dataset, report=lambda _: None)
    train(part, dataset, report=lambda _: None)
    assert whole.weights_path.read_bytes() == part.weights_path.read_bytes()
    timeless = [
        [{k: v for k, v in entry.items() if k not in ("seconds", "tokens_per_second")} for entry in run.metrics()]
        for run in (whole, part)
    ]
    assert timeless[0] == timeless[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["toy", "toy-words"])
def test_grammars_are_trained_and_graded(name: str, tmp_path: Path) -> None:
    sizes = {"strings": 300, "held_out_strings": 50}
    run, lines = trained(tmp_path / "run", config_of(name, data=sizes, loop={"epochs": 1, "samples": 10}))
    assert run.metrics("epoch")[0]["val_floor_kind"] == "estimate"
    assert any("of their words occur in training" in line for line in lines) == (name == "toy")
    json.dumps(grade(run, 20, SamplingConfig(max_new_tokens=30), strings=50))


def test_truncated_backpropagation_makes_an_update_for_every_chunk(tmp_path: Path) -> None:
    run, _ = trained(tmp_path / "run", config_of("ndfa", batches={"bptt": 5}, loop={"epochs": 1}))
    task = LanguageModeling(run.config, run.open_dataset())
    widths = [int(task.train.sequences.lengths[i].max()) for i in task.train.epoch(0)]
    assert len(run.metrics("step")) == sum(-(-(width - 1) // 5) for width in widths)


def test_a_language_model_of_reviews_trains_samples_and_takes_unknown_words(tmp_path: Path) -> None:
    config = preset("synth-reviews", "language-model").with_tables(
        {
            "data": {"synthetic_size": 300, "vocab_size": None},
            "model": {"hidden_size": 16, "embedding_size": 16},
            "loop": {"epochs": 1, "threads": 1},
        },
        "test",
    )
    run, lines = trained(tmp_path / "run", config)
    assert "bits per word" in lines[0]
    assert len(lines) == 1 + config.loop.samples
    assert all(line.startswith("    · ") for line in lines[1:])
    assert evaluate(run, "val")["bits_per_token"] == pytest.approx(
        run.metrics("epoch")[0]["val_bits_per_token"], rel=1e-5
    )
    warnings: list[str] = []
    written = write(run, 3, SamplingConfig(max_new_tokens=8), "This quiet film!", warnings.append)
    assert all(sample["text"].startswith("this quiet film") for sample in written["samples"])
    assert warnings == []
    written = write(run, 3, SamplingConfig(max_new_tokens=8), "this zyzzy film", warnings.append)
    assert all(sample["text"].startswith("this .unk film") for sample in written["samples"])
    assert all(".unk" not in sample["text"].removeprefix("this .unk film") for sample in written["samples"])
    assert len(warnings) == 1
    assert "zyzzy" in warnings[0]
    with pytest.raises(ConfigError, match="not a formal language"):
        grade(run)


def test_training_strings_are_those_of_the_course_and_validation_has_another_seed() -> None:
    dataset = open_dataset(config_of("ndfa").data)
    drawn = language("ndfa").sample(2_000, random.Random(0))
    decoded = ["".join(dataset.vocab.decode(ids.tolist())) for ids in dataset.split("train")]
    assert decoded == drawn
    held_out = ["".join(dataset.vocab.decode(ids.tolist())) for ids in dataset.split("val")]
    assert held_out != drawn[: len(held_out)]
    again = open_dataset(config_of("ndfa", data={"data_seed": 1}).data)
    assert again.checksum != dataset.checksum
    short = open_dataset(config_of("brackets", data={"max_symbols": 6}).data)
    assert max(map(len, itertools.chain(short.split("train"), short.split("val")))) == 6


def test_folds_divide_the_training_strings() -> None:
    drawn = language("ndfa").sample(23, random.Random(5))
    seen = []
    for fold in range(4):
        data = {"strings": 23, "data_seed": 5, "folds": 4, "fold": fold, "held_out_strings": 20_000}
        dataset = open_dataset(config_of("ndfa", data=data).data)
        train, val = (
            ["".join(dataset.vocab.decode(ids.tolist())) for ids in dataset.split(split)] for split in ("train", "val")
        )
        assert len(val) in (5, 6)
        assert Counter(train + val) == Counter(drawn)
        seen += val
    assert Counter(seen) == Counter(drawn)


@pytest.mark.parametrize(
    ("name", "tables", "message"),
    [
        ("brackets", {"data": {"folds": 1}}, "--folds 1 is impossible"),
        ("brackets", {"data": {"folds": 2_001}}, "--folds 2,001 is impossible"),
        ("brackets", {"data": {"folds": 5, "fold": 5}}, "--fold 5 does not exist"),
        ("brackets", {"data": {"fold": 1}}, "--folds"),
        ("brackets", {"data": {"folds": 5, "held_out_strings": 100}}, "--held-out-strings has no effect"),
        ("brackets", {"batches": {"packed": True, "shuffle": False}}, "--no-shuffle exclude each other"),
        ("brackets", {"batches": {"bptt": 8, "mask_padding": False}}, "--no-mask-padding exclude each other"),
        ("brackets", {"model": {"pooling": "mean"}}, "--pooling applies only to classifiers"),
        ("brackets", {"data": {"max_length": 5}}, "--max-length"),
        ("brackets", {"data": {"vocab_size": 5}}, "--vocab-size"),
        ("brackets", {"data": {"max_symbols": 1}}, "."),
        ("brackets", {"model": {"layer": "mlp"}}, "earlier token"),
        ("brackets", {"model": {"bidirectional": True}}, "--bidirectional applies only to"),
        ("brackets", {"data": {"task": "classification"}}, "--samples applies only to language models"),
        (
            "brackets",
            {"data": {"task": "classification"}, "loop": {"samples": 1_000, "max_new_tokens": 2_000}},
            "no classes",
        ),
        ("brackets", {"model": {"tied": True}}, "--tied needs equal sizes"),
        ("toy", {"data": {"level": "word"}}, "--level applies only to IMDb"),
        ("imdb", {"batches": {"packed": True}}, "--packed"),
        ("imdb", {"model": {"stack": "sum"}}, "--stack applies only to language models"),
        ("dyck:k", {}, "not a number"),
        ("dyck:x=1", {}, "has no option x"),
    ],
)
def test_incompatible_options_are_refused(name: str, tables: dict[str, dict[str, object]], message: str) -> None:
    def make() -> Task:
        config = config_of(name, **tables)
        return build_task(config, open_dataset(config.data))

    with pytest.raises(ElmanError, match=message):
        make()


def sample_of(dataset_ids: dict[str, int], string: str, *, cut_off: bool = False) -> Sample:
    return Sample([dataset_ids[symbol] for symbol in string], cut_off)


def test_counts_of_the_judge() -> None:
    dataset = open_dataset(config_of("brackets", data={"strings": 50}).data)
    judge, ids = Judge(dataset), dataset.vocab.ids
    unseen = "((((((((((()))))))))))"
    assert unseen not in judge.trained_on
    samples = [
        sample_of(ids, "()"),
        sample_of(ids, "()"),
        sample_of(ids, "()()"),  # balanced, but never generated
        sample_of(ids, ")("),  # only equal counts
        sample_of(ids, "((("),
        sample_of(ids, "(())", cut_off=True),
        sample_of(ids, unseen),
        Sample([ids["("], 3], False),  # .unk
    ]
    assert judge.counts(samples) == {
        "samples": 8,
        "cut_off": 1,
        "grammatical": 4,
        "in_support": 3,
        "equal_counts": 5,
        "novel": 5,
        "novel_and_grammatical": 2,
        "distinct": 6,
    }


def test_samples_that_were_cut_off_are_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parser of a grammar takes the cube of the length, and the answer is known."""
    judge = Judge(open_dataset(config_of("brackets", data={"strings": 50}).data))
    monkeypatch.setattr(judge.law, "judge", lambda _: pytest.fail("the sample was parsed"))
    verdict = judge.verdict(Sample([judge.vocab.ids["("]] * 2_000, cut_off=True))
    assert verdict == {"grammatical": False, "in_support": False, "equal_counts": False}


def test_spelled_words_are_compared_with_those_of_training() -> None:
    dataset = open_dataset(config_of("toy", data={"strings": 50, "held_out_strings": 5}).data)
    judge, ids = Judge(dataset), dataset.vocab.ids
    word = sorted(judge.words, key=len)[-1]
    samples = [sample_of(ids, f"{word} {word}"), sample_of(ids, f"{word}{word}")]
    counts = judge.counts(samples)
    assert [numbers.tolist() for numbers in judge.words_trained_on(samples)] == [[2, 0], [2, 1]]
    assert (counts["words"], counts["words_trained_on"]) == (3, 2)


def test_total_variation_of_small_examples() -> None:
    assert total_variation(Counter({1: 1, 2: 3}), Counter({2: 5, 3: 5})) == pytest.approx((0.25 + 0.25 + 0.5) / 2)
    assert total_variation(Counter({1: 4}), Counter({1: 9})) == 0


def test_wrong_lengths_have_a_larger_distance_than_perfect_ones() -> None:
    law = language("brackets")
    short = compare_lengths([Sample([4, 5], False)] * 500, law, 0)
    assert short["total_variation"] == pytest.approx(1 - 9 / 16, abs=0.01)
    assert short["total_variation"] > 3 * short["total_variation_perfect_high"]
    perfect = [Sample([4] * len(s), False) for s in law.sample(500, random.Random(8))]
    assert compare_lengths(perfect, law, 0)["total_variation"] < 1.5 * short["total_variation_perfect_high"]


def test_grade_counts_and_measures_fresh_strings(brackets: tuple[Run, list[str]]) -> None:
    run, _ = brackets
    figures = grade(run, 400, SamplingConfig(max_new_tokens=100), strings=2_000, by_temperature=True)
    assert {"samples", "grammatical", "in_support", "cut_off", "novel", "equal_counts"} <= set(figures)
    assert figures["grammatical"] + figures["cut_off"] <= figures["samples"] == 400
    assert figures["shares"]["grammatical"]["value"] == figures["grammatical"] / 400
    assert [row["temperature"] for row in figures["by_temperature"]] == list(TEMPERATURES)
    same = figures["by_temperature"][TEMPERATURES.index(1.0)]
    assert same["grammatical"] == figures["grammatical"]  # the same seed, so the same samples
    fresh = figures["fresh"]
    assert fresh["sequences"] == 2_000
    assert fresh["excess_nats_per_token"] == pytest.approx(
        run.metrics("epoch")[-1]["val_excess_nats_per_token"], rel=0.3
    )
    assert json.loads((run.path / "results" / "grade.json").read_text()) == figures
    prompted = grade(run, 50, SamplingConfig(max_new_tokens=100), prompt="((", strings=100)
    assert "lengths" not in prompted
    assert prompted["cut_off"] + prompted["grammatical"] <= 50


def test_a_formal_language_refuses_unknown_symbols_in_a_prompt(brackets: tuple[Run, list[str]]) -> None:
    run, _ = brackets
    for prompt in ("(x", ".unk"):
        with pytest.raises(ConfigError, match="does not know"):
            write(run, 1, SamplingConfig(), prompt)


def test_generalize_takes_several_factors_and_its_british_name(brackets: tuple[Run, list[str]], elman: Command) -> None:
    run, _ = brackets
    limit = ("--forced-prefixes", 100, "--json")
    code, out, _ = elman("generalize", run.path, "--factors", 1, 2, *limit)
    assert (code, out) == elman("generalise", run.path, "--factors", 1, "--factors", 2, *limit)[:2]
    assert code == 0
    assert [row["factor"] for row in json.loads(out)["by_length"]] == [1, 2]
    assert json.loads((run.path / "results" / "generalisation.json").read_text()) == json.loads(out)


@pytest.mark.parametrize("command", ["sample", "grade", "generalize"])
def test_a_missing_file_of_a_run_is_named_in_plain_words(
    command: str, brackets: tuple[Run, list[str]], elman: Command, tmp_path: Path
) -> None:
    for name in ("config.toml", "data.json", "vocab.json", "weights.safetensors"):
        copy = tmp_path / f"without-{name}"
        shutil.copytree(brackets[0].path, copy)
        (copy / name).unlink()
        code, out, err = elman(command, copy)
        assert (code, out) == (2, "")
        assert "Errno" not in err
        assert name in err


def test_sampling_does_not_import_what_only_training_needs(brackets: tuple[Run, list[str]]) -> None:
    run, _ = brackets
    script = (
        "import sys; from elman.cli import app; app(sys.argv[1:], result_action='return_value');"
        f" print([name for name in {HEAVY} if name in sys.modules])"
    )
    arguments = [sys.executable, "-c", script, "sample", str(run.path), "-n", "1", "--max-new-tokens", "5"]
    process = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert process.stdout.splitlines()[-1] == "[]"
