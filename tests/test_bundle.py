"""A bundle holds code, configuration, results and report, under the name that the course requires."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from elman import bundle
from elman.bundle import write_bundle
from elman.errors import ConfigError, RunError


def test_a_bundle_holds_everything_but_weights(smoke_study: Path, tmp_path: Path) -> None:
    path = write_bundle(smoke_study, "abc123_2", tmp_path / "out")
    assert path == tmp_path / "out" / "abc123_2.zip"
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        others = ["report.html", "report.pdf", "report.md", "preregistrations/expected.json", "ledger.json"]
        results = [file for file in (smoke_study / "results").rglob("*") if file.is_file()]
        assert {file.suffix for file in results} == {".json", ".npy"}
        for file in others + [file.relative_to(smoke_study).as_posix() for file in results]:
            assert archive.read(f"abc123_2/{file}") == (smoke_study / file).read_bytes()
        assert archive.read("abc123_2/configuration/study.toml") == (smoke_study / "study.toml").read_bytes()
        archive.extractall(tmp_path / "unpacked")
    assert all(name.startswith("abc123_2/") for name in names)
    assert not any("weights" in name or "__pycache__" in name or name.endswith(".pyc") for name in names)
    assert len([name for name in names if "/figures/" in name]) > 10
    code = tmp_path / "unpacked" / "abc123_2" / "code" / "src"
    script = "import elman, sys; print(elman.__file__)"
    process = subprocess.run([sys.executable, "-c", script], cwd=code, capture_output=True, text=True, check=True)
    assert Path(process.stdout.strip()) == code / "elman" / "__init__.py"
    assert (code / "elman" / "report" / "templates" / "report.md.j2").exists()


def test_a_bundle_holds_the_files_of_user_defined_languages(own_study: Path, tmp_path: Path) -> None:
    (own_study / "language").mkdir()
    (own_study / "language" / "mine.toml").write_text("kind = 'automaton'")
    with zipfile.ZipFile(write_bundle(own_study, "abc123_2", tmp_path)) as archive:
        assert archive.read("abc123_2/configuration/language/mine.toml") == b"kind = 'automaton'"


def test_the_same_study_gives_the_same_bytes(smoke_study: Path, tmp_path: Path) -> None:
    first, second = (write_bundle(smoke_study, "abc123_2", tmp_path / folder).read_bytes() for folder in "ab")
    assert first == second


@pytest.mark.parametrize(
    "name", ["abc123", "abc123_", "_2", "abc_2", "123_2", "abc123-2", "../abc123_2", "abc123_2.zip", ""]
)
def test_an_invalid_name_is_refused_with_the_pattern(smoke_study: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"\[vunetid\]_\[assignment number\]"):
        write_bundle(smoke_study, name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["abc123_2", "ABC123_1", "abc1234_2B"])
def test_a_valid_name_is_accepted(smoke_study: Path, tmp_path: Path, name: str) -> None:
    assert write_bundle(smoke_study, name, tmp_path).name == f"{name}.zip"


def test_an_unfinished_study_is_not_bundled(own_study: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a study"):
        write_bundle(tmp_path, "abc123_2", tmp_path / "out")
    (own_study / "report.pdf").unlink()
    with pytest.raises(RunError, match=r"lacks report\.pdf"):
        write_bundle(own_study, "abc123_2", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_error_leaves_no_partial_bundle(smoke_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(bundle, "_code", fail)
    with pytest.raises(OSError, match="full"):
        write_bundle(smoke_study, "abc123_2", tmp_path / "out")
    assert not [*(tmp_path / "out").iterdir()]
