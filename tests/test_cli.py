"""The command as a user or a program runs it: its output, its errors and its exit codes."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from elman.cli.apps import app, suggest_gpu
from elman.config import LoopConfig, RunConfig, read_config
from elman.data.table import open_dataset
from elman.errors import RunError
from elman.runs import Run

LANGUAGES = Path(__file__).parent.parent / "docs" / "languages"
SMALL = ["--synthetic-size", "200", "--tokens-per-batch", "400", "--embedding-size", "8", "--hidden-size", "8"]

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(elman: Command) -> Path:
    code, out, _ = elman("train", "synth-reviews", "--model", "lstm", "--epochs", 1, *SMALL)
    assert code == 0
    assert "val accuracy" in out
    return Path("runs/synth-reviews-lstm-1")


def test_evaluate_prints_json_and_tables(elman: Command, run: Path) -> None:
    code, out, _ = elman("evaluate", run, "--split", "val", "--json")
    figures = json.loads(out)
    assert code == 0
    assert {"accuracy", "accuracy_low", "accuracy_high", "cross_entropy_nats", "sequences"} <= set(figures)
    assert figures["accuracy_low"] <= figures["accuracy"] <= figures["accuracy_high"]
    code, out, _ = elman("evaluate", run)
    assert code == 0
    assert f"{figures['accuracy']:.2%}" in out
    assert "predicted positive" in out


def test_the_test_split_needs_final_and_is_recorded(elman: Command, run: Path) -> None:
    code, out, err = elman("evaluate", run, "--split", "test")
    assert (code, out) == (2, "")
    assert "--final" in err
    code, out, err = elman("evaluate", run, "--split", "test", "--final", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["openings_before"] == 0
    code, out, err = elman("evaluate", run, "--split", "test", "--final", "--json")
    assert code == 0
    assert json.loads(out)["openings_before"] == 1
    assert "HAS BEEN OPENED BEFORE" in err


def test_data_info_and_show(elman: Command, archive: Path) -> None:
    code, out, _ = elman("data", "info", "imdb", "--imdb", archive, "--json")
    description = json.loads(out)
    assert code == 0
    assert description["splits"]["train"]["sequences"] == description["splits"]["test"]["sequences"] == 40
    assert description["splits"]["train"]["tokens"] > 400
    assert {"vocab_size", "duplicates"} <= set(description)
    assert "across_splits" in description["duplicates"]
    code, out, _ = elman("data", "info", "imdb", "--imdb", archive)
    assert code == 0
    assert f"{description['vocab_size']:,} ids" in out
    code, out, _ = elman("data", "show", "imdb", 3, "--imdb", archive)
    assert code == 0
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert len(lines["tokens"].split()) == len(lines["ids"].split())
    assert lines["text"].startswith("A ")
    code, _, err = elman("data", "show", "imdb", 3000, "--imdb", archive)
    assert code == 2
    assert "0 to 31" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "imbd"], "no data set 'imbd'. Did you mean imdb?"),
        (["train"], "No data set is named"),
        (["train", "synth-reviews", "--model", "ltsm"], "ltsm"),
        (["train", "synth-reviews", "--modle", "lstm"], "--modle"),
        (["train", "synth-reviews", "--epochs", "none"], "--epochs takes a whole number, not 'none'"),
        (["train", "synth-reviews", "--epochs", "2.5"], "--epochs takes a whole number, not '2.5'"),
        (["train", "synth-reviews", "--patience", "2.5"], "--patience takes a whole number, not '2.5'"),
        (["train", "synth-reviews", "--lr", "high"], "--lr takes a number, not 'high'"),
        (["tune", "synth-reviews", "--trials", "2.5"], "--trials takes a whole number, not '2.5'"),
        (["train", "synth-reviews", "--epochs"], "--epochs needs a value"),
        (["evaluate"], "RUN is missing"),
        (["evaluate", "one", "two"], "too many arguments: two"),
        (["train", "synth-reviews", "--epochs", "0"], "--epochs must be 1 or more, not 0"),
        (["train", "synth-reviews", "--word-dropout", "1.5"], "--word-dropout must be at least 0 and below 1, not 1.5"),
        (["train", "synth-reviews", "--model", "mlp", "--bidirectional"], "--model mlp cannot be bidirectional"),
        (["train", "imdb", "--imdb", "nowhere.tar.gz"], "nowhere.tar.gz"),
        (["train", "negation", "--level", "char"], "--level applies only to IMDb"),
        (["train", "synth-reviews", "--folds", "5"], "--folds applies only to formal languages"),
        (["train", "brackets", "--synthetic-size", "5"], "--synthetic-size applies only to generated reviews"),
        (["train", "synth-reviews", "--samples", "5"], "--samples applies only to language models"),
        (["train", "--config", "nowhere.toml"], "nowhere.toml"),
        (["train", "synth-reviews", "--config", "nowhere.toml"], "exclude each other"),
        (["train", "--resume", "nowhere"], "nowhere is not a run directory"),
        (["train", "synth-reviews", "--resume", "nowhere"], "keeps the configuration"),
        (["evaluate", "."], ". is not a run directory"),
        (["evaluate", ".", "--split", "tset"], "tset"),
        (["study", "--profile", "quickest"], "quickest"),
        (["study", "absent.toml"], "absent.toml cannot be read as a study (no such file or directory)"),
        (["report", "."], ". is not a study"),
        (["bundle", ".", "--name", "mine"], "[vunetid]_[assignment number]"),
        (["language", "info", "absent.toml"], "absent.toml cannot be read (no such file or directory)"),
        (["sing"], "no command 'sing'"),
    ],
)
def test_an_error_is_two_lines_on_standard_error(elman: Command, arguments: list[str], message: str) -> None:
    code, out, err = elman(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert "[Errno" not in err
    assert len(err.strip().splitlines()) == 2
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["train", "imdb", "--modle", "lstm"], "elman train --help"),
        (["data", "show", "negation", "first"], "elman data show --help"),
        (["data", "shwo"], "elman data --help"),
        (["trian"], "elman --help"),
    ],
)
def test_a_usage_error_names_the_help_of_its_command(elman: Command, arguments: list[str], command: str) -> None:
    assert elman(*arguments)[2].splitlines()[-1] == f"See: {command}"


def test_an_unknown_command_is_answered_with_all_commands(elman: Command) -> None:
    err = elman("trian")[2]
    assert "Did you mean train?" in err
    commands = err.partition("The commands are: ")[2].partition(".")[0].split(", ")
    assert set(commands) == {name for name in app if not name.startswith("-")}


def test_options_have_short_names(elman: Command) -> None:
    short = ("-m", "rnn", "--lr", 0.01, "--device", "cpu", "-o", "out", "-q", "--epochs", 1)
    assert elman("train", "synth-reviews", *short, *SMALL)[0] == 0
    config = read_config(Path("out/config.toml"))
    assert (config.model.layer, config.optim.learning_rate, config.loop.accelerator) == ("rnn", 0.01, "cpu")


@pytest.mark.slow
def test_quiet_prints_the_run_and_the_result(elman: Command) -> None:
    code, out, err = elman("train", "synth-reviews", "--quiet", "--epochs", 1, *SMALL)
    first, second = out.splitlines()
    assert (code, err, first) == (0, "", "run runs/synth-reviews-lstm-1")
    assert second.startswith("best epoch 1: val loss")
    code, out, err = elman("tune", "synth-reviews", "--quiet", "--trials", 1, "--epochs", 1, *SMALL)
    assert (code, err) == (0, "")
    assert "search model" not in out
    assert "elman train synth-reviews" in out


def test_a_training_ends_with_the_next_command(elman: Command) -> None:
    _, out, _ = elman("train", "synth-reviews", "--epochs", 1, "--run", "my run", *SMALL)
    assert out.splitlines()[-1] == "next: elman evaluate 'my run'"
    small = ("--strings", 50, "--held-out-strings", 10, "--epochs", 1, "--samples", 2, "--hidden-size", 4)
    _, out, _ = elman("train", "brackets", *small)
    command = out.splitlines()[-1].removeprefix("next: elman ").split()
    assert command == ["sample", "runs/brackets-lstm-1"]
    assert elman(*command)[0] == 0


def test_a_gpu_that_is_not_used_is_mentioned(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    on_gpu = RunConfig(loop=LoopConfig(accelerator="cuda"))
    suggest_gpu(on_gpu, quiet=False)
    suggest_gpu(RunConfig(), quiet=True)
    assert capsys.readouterr().err == ""
    suggest_gpu(RunConfig(), quiet=False)
    assert "--device cuda" in capsys.readouterr().err
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    suggest_gpu(RunConfig(), quiet=False)
    assert capsys.readouterr().err == ""


def test_data_list(elman: Command, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def available() -> dict[str, bool]:
        code, out, _ = elman("data", "list", "--json")
        assert code == 0
        return {row["name"]: row["available"] for row in json.loads(out)["datasets"]}

    assert {name for name, is_here in available().items() if not is_here} == {"imdb"}
    assert "imdb " in elman("data", "list")[1]
    assert elman("data", "list")[1].count("not on this machine yet") == 1
    monkeypatch.setenv("ELMAN_IMDB", str(archive))
    assert all(available().values())
    assert {"imdb", "synth-reviews", "negation", "brackets", "toy-words"} <= set(available())


def test_completion_knows_commands_and_options() -> None:
    script = app.generate_completion(shell="bash")
    assert {"train", "evaluate", "--learning-rate", "--quiet"} <= set(re.findall(r"[\w-]+", script))


def test_train_takes_the_configuration_of_another_run(elman: Command, run: Path) -> None:
    code, out, _ = elman("train", "--config", run / "config.toml", "--seed", 7)
    assert code == 0
    assert out.startswith("run runs/synth-reviews-lstm-2\n")
    first = (run / "config.toml").read_text()
    second = Path("runs/synth-reviews-lstm-2/config.toml").read_text()
    assert second == first.replace("\nseed = 0", "\nseed = 7") != first


def test_a_symbolic_link_is_refused_as_run_directory(elman: Command, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    Path("link").symlink_to(tmp_path / "elsewhere")
    code, _, err = elman("train", "synth-reviews", "--run", "link", *SMALL)
    assert code == 2
    assert "is a link" in err
    assert elman("train", "synth-reviews", "--run", "link/run", *SMALL)[0] == 0


def test_a_run_of_another_process_is_not_removed(elman: Command, config: RunConfig) -> None:
    run = Run.create(Path("begun"), config, open_dataset(config.data))
    with run.locked():
        code, _, err = elman("train", "--resume", "begun")
    assert code == 2
    assert "trained by another process" in " ".join(err.split())
    assert Path("begun/config.toml").exists()


def test_a_damaged_config_or_one_of_another_version_is_refused(elman: Command, run: Path) -> None:
    text = (run / "config.toml").read_text()
    for damaged, message in (
        (text.replace("format = 1", "format = 99"), "format 99"),
        (text.replace("epochs = 1", 'epochs = "many"'), "epochs cannot be 'many'"),
        (text.replace("[loop]", "[lopo]"), "unknown section 'lopo'"),
        (text[:200] + "=", "not TOML"),
        (text + "# caf\udce9", "not UTF-8"),
    ):
        (run / "config.toml").write_text(damaged, errors="surrogateescape")
        code, _, err = elman("evaluate", run)
        assert code == 2
        assert message in " ".join(err.split())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("data.json", "{}", "data.json is damaged: it has no"),
        ("data.json", "[]", "data.json is damaged: it has no"),
        ("config.toml", "hidden_size = 9", "belong to different models"),
    ],
)
def test_a_run_with_changed_files_is_refused(elman: Command, run: Path, name: str, content: str, message: str) -> None:
    whole = (run / name).read_text()
    (run / name).write_text(whole.replace("hidden_size = 8", content) if name == "config.toml" else content)
    code, _, err = elman("evaluate", run)
    assert code == 2
    assert message in " ".join(err.split())


def test_damaged_metrics_are_refused(run: Path) -> None:
    (run / "metrics.jsonl").write_text("{}\n")
    with pytest.raises(RunError, match="damaged"):
        Run(run).metrics("epoch")
    (run / "metrics.jsonl").write_text("{\n")
    with pytest.raises(RunError, match="damaged"):
        Run(run).metrics()


def test_a_language_file_is_found_from_another_folder(
    elman: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ["--strings", 50, "--held-out-strings", 20, "--epochs", 1, "--hidden-size", 4, "--samples", 5]
    (tmp_path / "grammar.toml").write_text((LANGUAGES / "even_ones.toml").read_text())
    code, _, _ = elman("train", "grammar.toml", "--run", tmp_path / "run", *small)
    assert code == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    code, out, _ = elman("sample", tmp_path / "run", "-n", 2)
    assert code == 0
    assert len(out.splitlines()) >= 2


@pytest.mark.slow
def test_a_prompt_with_unknown_symbols_is_refused(elman: Command) -> None:
    small = ["--strings", 50, "--held-out-strings", 20, "--epochs", 1, "--hidden-size", 4, "--samples", 5]
    elman("train", "toy-words", "--run", "words", *small)
    for prompt in (".end", "the .unk", "xyzzy"):
        code, _, err = elman("sample", "words", "--prompt", prompt)
        assert code == 2
        assert "the model does not know" in err
        assert ".start" not in err
    for arguments in (["grade", "words", "--strings", 0], ["generalise", "words", "--factors", 0]):
        code, _, err = elman(*arguments)
        assert code == 2
        assert "1 or more" in err


def test_a_run_directory_is_not_overwritten(elman: Command, run: Path) -> None:
    before = (run / "config.toml").stat().st_mtime_ns
    code, _, err = elman("train", "synth-reviews", "--run", run, *SMALL)
    assert code == 2
    assert "exists already" in err
    assert (run / "config.toml").stat().st_mtime_ns == before
    elman("train", "synth-reviews", "--epochs", 1, *SMALL)
    assert Path("runs/synth-reviews-lstm-2").exists()


@pytest.mark.slow
def test_ctrl_c_and_resume_from_the_shell(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "elman"]
    training = [*command, "train", "negation", "--epochs", "400", "--run", "my run", "--threads", "1", *SMALL]
    narrow = {**os.environ, "COLUMNS": "30"}
    process = subprocess.Popen(
        training, cwd=tmp_path, env=narrow, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while "epoch 2/" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert "elman train --resume 'my run'" in err  # on one line, to be copied
    assert "Traceback" not in err
    assert list((tmp_path / "my run" / "checkpoints").iterdir())
    config = tmp_path / "my run" / "config.toml"
    epochs = re.search(r"step-\d+-epoch-(\d+)", str(next((tmp_path / "my run" / "checkpoints").iterdir())))[1]
    config.write_text(config.read_text().replace("epochs = 400", f"epochs = {int(epochs) + 1}"))
    resumed = subprocess.run(
        [*command, "train", "--resume", "my run"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "best epoch" in resumed.stdout
    assert (tmp_path / "my run" / "results" / "training.json").exists()


def test_help_imports_neither_torch_nor_scipy() -> None:
    script = "import sys; from elman import cli; print('torch' in sys.modules, 'scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_device_is_refused_and_leaves_no_run(elman: Command, run: Path) -> None:
    code, _, err = elman("train", "synth-reviews", "--accelerator", "cuda", "--run", "on-gpu", *SMALL)
    assert code == 2
    assert "no cuda device" in err
    assert not Path("on-gpu").exists()
    config = run / "config.toml"
    config.write_text(config.read_text().replace('accelerator = "cpu"', 'accelerator = "cuda"'))
    assert elman("evaluate", run)[0] == 0  # a run that was trained on a GPU is read on a laptop


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--threads", 10**9),
        ("--length-multiple", 10**19),
        ("--learning-rate", "inf"),
        ("--warmup-epochs", 100),
        ("--embedding-scale", "inf"),
        ("--hidden-size", 2_000_000_000),
    ],
)
def test_huge_values_are_refused_without_a_traceback(elman: Command, option: str, value: object) -> None:
    code, _, err = elman("train", "synth-reviews", "--run", "much", "--synthetic-size", 50, option, value)
    assert code == 2
    assert err.startswith("elman:")
    assert not Path("much").exists()


@pytest.mark.slow
def test_studies_and_searches_do_not_overwrite_a_directory(elman: Command, run: Path, tmp_path: Path) -> None:
    study = "[[questions]]\nsteps = [{ name = 'training', kind = 'data', data = { name = 'ndfa', strings = 20 } }]"
    (tmp_path / "one.toml").write_text(study)
    (tmp_path / "two.toml").write_text(study)
    before = (run / "results" / "training.json").read_bytes()
    for command in (["study", tmp_path / "one.toml"], ["tune", "negation", "--trials", 1]):
        code, _, err = elman(*command, "--directory", run)
        assert (code, "is a run directory" in err) == (2, True)
    assert (run / "results" / "training.json").read_bytes() == before
    assert elman("study", tmp_path / "one.toml", "--directory", "made")[0] == 0
    code, _, err = elman("study", tmp_path / "two.toml", "--directory", "made")
    assert (code, "holds the study 'one', not 'two'" in err) == (2, True)
    assert elman("study", tmp_path / "one.toml", "--profile", "smoke")[0] == 2


def test_the_remedy_fits_the_error(elman: Command, run: Path, tmp_path: Path) -> None:
    (tmp_path / "full" / "inside").mkdir(parents=True)
    assert "--resume" not in elman("train", "negation", "--run", tmp_path / "full", *SMALL)[2]
    assert "--resume" in elman("train", "negation", "--run", run, *SMALL)[2]
    assert "already finished" in elman("train", "--resume", run)[2]
    (run / "vocab.json").unlink()
    assert f"elman train --config {run}/config.toml" in elman("evaluate", run)[2]
    (tmp_path / "bare.toml").write_text("format = 1\n")
    assert "does not name a data set" in elman("train", "--config", tmp_path / "bare.toml")[2]


def test_evaluating_an_unfinished_training_prints_a_note(elman: Command, run: Path) -> None:
    assert "not finished" not in elman("evaluate", run)[2]
    (run / "results" / "training.json").unlink()
    assert "NOTE: the training of" in elman("evaluate", run)[2]


def test_the_test_split_is_not_opened_if_the_result_cannot_be_saved(
    elman: Command, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    code, _, err = elman("evaluate", run, "--split", "test", "--final")
    assert (code, "cannot be written to" in err) == (2, True)
    monkeypatch.undo()
    assert "BEFORE" not in elman("evaluate", run, "--split", "test", "--final")[2]


@pytest.mark.slow
def test_tables_are_folded_on_a_narrow_terminal(run: Path) -> None:
    command, narrow = [sys.executable, "-m", "elman", "evaluate", str(run)], {**os.environ, "COLUMNS": "30"}
    out = subprocess.run(command, env=narrow, capture_output=True, text=True, check=True).stdout
    tables = out.partition("mistakes:")[0]
    assert "predicted" in tables
    assert max(map(len, tables.splitlines())) <= 30
    assert "…" not in tables


def test_a_run_can_be_repeated_after_its_language_file_was_deleted(elman: Command, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text((LANGUAGES / "even_ones.toml").read_text())
    options = ["--strings", 50, "--held-out-strings", 10, "--epochs", 1, "--samples", 2, "--hidden-size", 4]
    assert elman("train", own, *options, "--run", "own")[0] == 0
    own.unlink()
    code, _, err = elman("train", "--config", "own/config.toml", "--run", "again")
    assert (code, err) == (0, "")


@pytest.mark.slow
def test_input_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "elman", "language", "check", "brackets"]
    bad = subprocess.run(command, input=b"\xff()\n", capture_output=True, check=False)
    assert (bad.returncode, b"is not UTF-8 text" in bad.stderr) == (2, True)
    marked = subprocess.run(command, input=b"\xef\xbb\xbf()\n", capture_output=True, check=True)
    assert marked.stdout.decode().startswith("✓")


@pytest.mark.slow
def test_a_closed_output_stops_the_training_with_the_command_to_resume(tmp_path: Path) -> None:
    training = [sys.executable, "-m", "elman", "train", "negation", "--epochs", "50", "--threads", "1", *SMALL]
    with subprocess.Popen(training, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        process.stdout.readline()
        process.stdout.close()
        assert b"elman train --resume runs/negation-" in process.stderr.read()
    assert process.returncode == 130


def test_a_path_with_square_brackets_is_printed_unchanged(elman: Command) -> None:
    path = "x[/y]/[bold]z"
    assert elman("train", "synth-reviews", "--epochs", 1, "--run", path, *SMALL)[0] == 0
    code, out, _ = elman("evaluate", path)
    assert code == 0
    assert path in out


def test_showing_a_text_of_the_test_split_needs_final(elman: Command) -> None:
    code, out, err = elman("data", "show", "synth-reviews", 0, "--split", "test")
    assert (code, out) == (2, "")
    assert "--final" in err
    shown = ["data", "show", "synth-reviews", 0, "--split", "test", "--final"]
    assert elman(*shown[:3], 99_999, *shown[4:])[0] == 2  # nothing was read, so nothing was opened
    assert elman(*shown)[::2] == (0, "")
    assert "OPENED BEFORE: once" in elman(*shown)[2]
    elman("train", "synth-reviews", "--epochs", 1, "--run", "run", "--embedding-size", 4, "--hidden-size", 4)
    assert "OPENED BEFORE" in elman("evaluate", "run", "--split", "test", "--final")[2]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_output_to_a_full_disk_is_an_error_without_a_traceback(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "elman", "data", "info", "negation", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "ELMAN_CACHE": str(tmp_path)},
        )
    assert done.returncode == 2
    assert "Free some disk space" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def writer(elman: Command) -> Path:
    """Train a language model of brackets for a moment."""
    options = ("--strings", 500, "--held-out-strings", 100, "--epochs", 1, "--samples", 20, "--max-new-tokens", 30)
    code, out, _ = elman("train", "brackets", *options, "--tokens-per-batch", 500, "--threads", 1)
    assert code == 0
    assert "excess" in out
    return Path("runs/brackets-lstm-1")


@pytest.mark.slow
def test_sample_grade_and_generalise(elman: Command, writer: Path) -> None:
    code, out, _ = elman("sample", writer, "-n", 4, "--prompt", "(()", "--temperature", 0.5, "--max-new-tokens", 9)
    assert code == 0
    assert all(line[0] in "✓✗…" and line[2:].startswith("(()") for line in out.splitlines())
    assert len(out.splitlines()) == 4
    _, out, _ = elman("sample", writer, "-n", 2, "--top-k", 1, "--max-new-tokens", 9, "--json")
    assert {"text", "cut_off", "grammatical"} == set(json.loads(out)["samples"][0])
    code, out, _ = elman("grade", writer, "-n", 100, "--strings", 200, "--max-new-tokens", 30, "--json")
    figures = json.loads(out)
    assert code == 0
    assert all(isinstance(figures[key], int) for key in ("samples", "grammatical", "cut_off", "novel", "in_support"))
    code, out, _ = elman("grade", writer, "-n", 50, "--strings", 100, "--max-new-tokens", 30, "--by-temperature")
    assert code == 0
    assert "Total variation" in out
    assert "at each temperature" in out
    code, out, _ = elman("generalise", writer, "--factors", 1, "--factors", 2)
    assert code == 0
    assert "accuracy" in out
    assert (writer / "figures" / "generalisation.svg").read_text().startswith("<?xml")
    code, out, _ = elman("evaluate", writer)
    assert code == 0
    assert "excess" in out
    code, out, err = elman("sample", writer, "--prompt", "x")
    assert (code, out) == (2, "")
    assert "'x'" in err


def test_a_classifier_cannot_be_sampled_or_graded(elman: Command, run: Path) -> None:
    for command in ("sample", "grade", "generalise"):
        code, out, err = elman(command, run)
        assert (code, out) == (2, "")
        assert "elman:" in err


def test_strings_that_are_not_text_are_refused(elman: Command, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe()")
    code, out, err = elman("language", "check", "brackets", tmp_path / "binary")
    assert (code, out) == (2, "")
    assert "not UTF-8" in err


@pytest.mark.slow
def test_several_runs_are_graded_together(elman: Command, writer: Path) -> None:
    options = ("--strings", 500, "--held-out-strings", 100, "--epochs", 1, "--samples", 20, "--max-new-tokens", 30)
    elman("train", "brackets", *options, "--tokens-per-batch", 500, "--threads", 1, "--seed", 1)
    two = ("runs/brackets-lstm-1", "runs/brackets-lstm-2", "-n", 50, "--strings", 100, "--max-new-tokens", 30)
    code, out, _ = elman("grade", *two, "--json")
    graded = json.loads(out)
    assert code == 0
    means = graded["over_runs"]["excess_nats_per_token"]
    each = [run["fresh"]["excess_nats_per_token"] for run in graded["runs"]]
    assert means["mean"] == pytest.approx(sum(each) / 2)
    assert (means["least"], means["most"]) == (min(each), max(each))
    assert [run["seed"] for run in graded["runs"]] == [0, 1]
    code, out, _ = elman("grade", *two)
    assert code == 0
    assert "over 2 runs" in out
    for command in ("grade", "generalise"):
        code, _, err = elman(command)
        assert code == 2
        assert "No run was given" in err
    elman("train", "ndfa", *options, "--tokens-per-batch", 500, "--threads", 1)
    code, out, err = elman("grade", two[0], "runs/ndfa-lstm-1", "--json")
    assert (code, out) == (2, "")
    assert "different languages" in err
    code, out, err = elman("generalise", two[0], "runs/ndfa-lstm-1", "--json")
    assert (code, out) == (2, "")
    assert "different strings" in err
    factors = ("--factors", 1, "--factors", 2)
    code, out, _ = elman("generalise", *two[:2], *factors, "--json")
    generalised = json.loads(out)
    assert code == 0
    best = min(generalised["runs"], key=lambda run: run["val_cross_entropy_nats"])
    assert generalised["over_runs"]["chosen"] == best["run"]
    assert [row["factor"] for row in generalised["over_runs"]["by_depth"]] == [1, 2]
    code, out, _ = elman("generalise", *two[:2], *factors)
    assert code == 0
    assert out.count("Forced steps:") == 2
    assert f"{best['val_cross_entropy_nats']:.6f} (the best)" in out
    assert all((Path(run) / "figures" / "generalisation.svg").exists() for run in two[:2])
    code, out, err = elman("generalise", *two[:2], "--figure", "one.svg")
    assert (code, out) == (2, "")
    assert "--figure" in err


@pytest.mark.slow
def test_language_info_check_and_draw(elman: Command, tmp_path: Path) -> None:
    code, out, _ = elman("language", "info", "brackets", "--json")
    figures = json.loads(out)
    assert code == 0
    assert figures["entropy_bits_per_string"] == pytest.approx(7.9096, abs=1e-4)
    assert figures["mean_tokens_per_string"] == pytest.approx(10)
    assert figures["floor_nats_per_token"] == pytest.approx(0.54825, abs=1e-5)
    code, out, _ = elman("language", "info", "dyck:k=2,p=0.4", "--max-symbols", 30)
    assert code == 0
    assert "no model has a lower cross-entropy" in out
    (tmp_path / "strings.txt").write_text("(())\n()()\n)(\n")
    code, out, _ = elman("language", "check", "brackets", tmp_path / "strings.txt")
    assert code == 1
    assert [line[0] for line in out.splitlines()] == ["✓", "✓", "✗"]
    _, out, _ = elman("language", "check", "brackets", tmp_path / "strings.txt", "--json")
    checked = json.loads(out)["strings"]
    assert [string["in_support"] for string in checked] == [True, False, False]
    assert checked[0]["probability"] == pytest.approx(7 / 16 * (9 / 16) ** 2)
    assert checked[1]["log_prob"] is None
    head, rules = 'kind = "grammar"\nstart = "$S"\nalphabet = ["$", "x^"]\n', '"$ x^ $" = 0.5\n"$" = 0.5\n'
    (tmp_path / "odd.toml").write_text(head + '[rules."$S"]\n' + rules)
    for name in ("ndfa", "brackets", "dyck2", "anbn", "parity", "toy", "toy2-words", "tomita7", tmp_path / "odd.toml"):
        code, out, _ = elman("language", "draw", name)
        assert code == 0
        assert Path(out.strip()).read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["language", "info", "klingon"], "'klingon' is not a language"),
        (["language", "info", "absent.toml"], "absent.toml"),
        (["language", "check", "brackets", "absent.txt"], "absent.txt"),
        (["language", "info", "brackets", "--max-symbols", "1"], "brackets"),
        (["sample", "absent"], "absent"),
        (["train", "brackets", "--model", "mlp"], "mlp"),
        (["train", "brackets", "--temperature", "1"], "--temperature"),
        (["train", "imdb", "--bptt", "9"], "--bptt"),
        (["train", "brackets", "--task", "classification"], "no classes"),
        (["language", "info", "dyck1:k=2"], "dyck1 has no option k.\nIt has p."),
        (["language", "info", "dyck:k=1.5"], "k of dyck is a whole number, not 1.5"),
        (["language", "info", "dyck:"], "not a number"),
        (["language", "info", "anbn:p=0.5,p=0.6"], "p of anbn is given twice"),
        (["language", "info", "brackets:p=1"], "brackets has no option p.\nIt has none."),
        (["language", "draw", "ndfa", "--output", "x.png"], "SVG"),
        (["data", "info", "imdb", "--imdb", "/"], "does not hold the IMDb reviews"),
    ],
)
def test_invalid_languages_are_refused(elman: Command, arguments: list[str], message: str) -> None:
    code, out, err = elman(*arguments)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.slow
def test_a_study_file_is_run_reported_and_bundled(elman: Command, tmp_path: Path) -> None:
    text = """
        title = "Mine"
        [[questions]]
        title = "What is there?"
        text = "There are {{ steps.strings.figures.vocab_size | count }} ids."
        steps = [{ name = "strings", kind = "data", data = { name = "brackets", strings = 50, held_out_strings = 5 } }]
    """
    (tmp_path / "mine.toml").write_text(text)
    code, out, _ = elman("study", "mine.toml")
    assert code == 0
    assert out.splitlines()[-1].endswith("the report is runs/study-mine/report.html")
    assert "There are 6 ids." in Path("runs/study-mine/report.md").read_text()
    Path("runs/study-mine/report.html").unlink()
    assert elman("report", "runs/study-mine")[:2] == (0, "runs/study-mine/report.html\n")
    assert Path("runs/study-mine/report.html").exists()
    assert elman("bundle", "runs/study-mine", "--name", "abc123_2")[:2] == (0, "abc123_2.zip\n")
    assert Path("abc123_2.zip").exists()
    (tmp_path / "mine.toml").write_text(text.replace("brackets", "klingon").replace("strings = 50, ", ""))
    code, _, err = elman("study", "mine.toml")
    assert code == 2
    assert "klingon" in err


@pytest.mark.slow
def test_a_failed_step_gives_exit_code_1_and_a_report(elman: Command, tmp_path: Path) -> None:
    small = 'data = { name = "negation", synthetic_size = 50 }, loop = { epochs = 1 }'
    (tmp_path / "mine.toml").write_text(
        f"""
        [[questions]]
        kind = "classifier"
        steps = [
            {{ name = "one", {small} }},
            {{ name = "too-little", kind = "comparison", needs = ["one"] }},
        ]
        """
    )
    code, out, err = elman("study", "mine.toml")
    assert code == 1
    assert "FAILED: too-little" in out
    assert "1 of 2 steps failed: too-little." in err
    assert "too-little" in Path("runs/study-mine/report.md").read_text()
