"""A bundle holds code, configuration, results and report, under the name that the course asks for."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from elman import bundle
from elman.bundle import write_bundle
from elman.errors import ConfigError, RunError


def test_a_bundle_holds_all_and_nothing_large(smoke_study: Path, tmp_path: Path) -> None:
    path = write_bundle(smoke_study, "abc123_2", tmp_path / "out")
    assert path == tmp_path / "out" / "abc123_2.zip"
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        kept = ["report.html", "report.pdf", "report.md", "hypotheses/expected.json", "ledger.json"]
        found = [file for file in (smoke_study / "results").rglob("*") if file.is_file()]
        assert {file.suffix for file in found} == {".json", ".npy"}
        for file in kept + [file.relative_to(smoke_study).as_posix() for file in found]:
            assert archive.read(f"abc123_2/{file}") == (smoke_study / file).read_bytes()
        assert archive.read("abc123_2/configuration/study.toml") == (smoke_study / "study.toml").read_bytes()
        archive.extractall(tmp_path / "unpacked")
    assert all(name.startswith("abc123_2/") for name in names)
    assert not any("weights" in name or "__pycache__" in name or name.endswith(".pyc") for name in names)
    assert len([name for name in names if "/figures/" in name]) > 10
    code = tmp_path / "unpacked" / "abc123_2" / "code" / "src"
    script = "import elman, sys; print(elman.__file__)"
    done = subprocess.run([sys.executable, "-c", script], cwd=code, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == code / "elman" / "__init__.py"
    assert (code / "elman" / "report" / "templates" / "report.md.j2").exists()


def test_a_language_of_one_s_own_is_handed_in_too(own_study: Path, tmp_path: Path) -> None:
    (own_study / "language").mkdir()
    (own_study / "language" / "mine.toml").write_text("kind = 'automaton'")
    with zipfile.ZipFile(write_bundle(own_study, "abc123_2", tmp_path)) as archive:
        assert archive.read("abc123_2/configuration/language/mine.toml") == b"kind = 'automaton'"


def test_the_same_study_makes_the_same_bytes(smoke_study: Path, tmp_path: Path) -> None:
    first, second = (write_bundle(smoke_study, "abc123_2", tmp_path / folder).read_bytes() for folder in "ab")
    assert first == second


@pytest.mark.parametrize(
    "name", ["abc123", "abc123_", "_2", "abc_2", "123_2", "abc123-2", "../abc123_2", "abc123_2.zip", ""]
)
def test_a_wrong_name_is_refused_with_the_pattern(smoke_study: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"\[vunetid\]_\[assignment number\]"):
        write_bundle(smoke_study, name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["abc123_2", "ABC123_1", "abc1234_2B"])
def test_a_right_name_is_taken(smoke_study: Path, tmp_path: Path, name: str) -> None:
    assert write_bundle(smoke_study, name, tmp_path).name == f"{name}.zip"


def test_what_is_not_finished_is_not_bundled(own_study: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no study's directory"):
        write_bundle(tmp_path, "abc123_2", tmp_path / "out")
    (own_study / "report.pdf").unlink()
    with pytest.raises(RunError, match=r"lacks report\.pdf"):
        write_bundle(own_study, "abc123_2", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_it_is_built_whole_or_not_at_all(smoke_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(bundle, "_code", breaks)
    with pytest.raises(OSError, match="full"):
        write_bundle(smoke_study, "abc123_2", tmp_path / "out")
    assert not [*(tmp_path / "out").iterdir()]
