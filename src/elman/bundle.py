"""Packs a study for submission: one zip with the name that the course requires.

    NAME/code/…                      the package; from a clone also the files that install it
         configuration/study.toml    the study file; language/ holds the files of user-defined languages
         results/                    the result of each step and each seed, with configurations and test probabilities
         preregistrations/*.json     the predictions for the test; ledger.json holds the opening of the test split
         report.html, report.pdf, report.md, figures/*.svg

Weights are left out: they are large, and training with the same configuration gives them again.
"""

import re
import zipfile
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path

from elman.errors import ConfigError, RunError
from elman.files import new_file
from elman.report.results import read_study
from elman.runs import LANGUAGE

NAME = re.compile(r"[A-Za-z]{2,}[0-9]{2,}_[0-9]+[A-Za-z]?")
PATTERN = "[vunetid]_[assignment number]"

REPORTS = ("report.html", "report.pdf", "report.md")
RESULTS = (
    "results/**/*.json",
    "results/**/*.npy",
    "preregistrations/*.json",
    "hypotheses/*.json",  # their former name
    "figures/*.svg",
    "results.json",
    "ledger.json",
)
FROM_A_CLONE = ("pyproject.toml", "requirements.lock", "Makefile", "README.md", "LICENSE")
MOMENT = (1980, 1, 1, 0, 0, 0)
"""The time of every file in the zip, so that the same study gives the same bytes."""


def write_bundle(directory: Path, name: str, output: Path) -> Path:
    """Write ``output/NAME.zip`` and return its path; an error leaves no partial file.

    Parameters
    ----------
    directory
        The directory of a study, with its report.
    name
        A VUnetID and the number of the assignment.
    output
        The directory to write into.

    Raises
    ------
    ConfigError
        The name does not match the pattern.
    RunError
        The directory is not that of a study, or has no report or no result.
    """
    if not NAME.fullmatch(name):
        raise ConfigError(f"The name {name!r} does not match {PATTERN}.", "Use a name like abc123_2.")
    read_study(directory)
    missing = [report for report in REPORTS if not (directory / report).is_file()]
    if missing or not any((directory / "results").glob("*.json")):
        raise RunError(
            f"{directory} lacks {', '.join(missing) or 'results'}.",
            f"Finish the study, or use: elman report {directory}.",
        )
    path = output / f"{name}.zip"
    with as_file(files("elman")) as package, new_file(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for inside, file in sorted([*_study(directory), *_code(package)]):
            entry = zipfile.ZipInfo(f"{name}/{inside}", MOMENT)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes())
    return path


def _study(directory: Path) -> Iterator[tuple[str, Path]]:
    yield "configuration/study.toml", directory / "study.toml"
    yield "configuration/study.json", directory / "study.json"
    for file in directory.glob(f"{LANGUAGE}/*.toml"):
        yield f"configuration/{file.relative_to(directory).as_posix()}", file
    for report in REPORTS:
        yield report, directory / report
    for pattern in RESULTS:
        for file in directory.glob(pattern):
            yield file.relative_to(directory).as_posix(), file


def _code(package: Path) -> Iterator[tuple[str, Path]]:
    for file in package.rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            yield f"code/src/elman/{file.relative_to(package).as_posix()}", file
    clone = package.parent.parent
    if (clone / "pyproject.toml").is_file():
        for name in FROM_A_CLONE:
            if (clone / name).is_file():
                yield f"code/{name}", clone / name
