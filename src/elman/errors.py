"""The errors of this package, as a tree.

    ElmanError
    ├── ConfigError        an option has an invalid value, or two options exclude each other
    ├── DataError          data is missing, damaged, or not in the expected form
    │   └── SourceUnreachable  the data would have to be downloaded, and the download failed
    ├── LanguageError      a formal language cannot be built, or cannot answer a question
    ├── RunError           a directory is not a run, or is a run of another version
    │   └── StepFailed         a step of a study failed; the others are done
    ├── TestSplitLocked    the test split was requested without --final
    ├── NonFiniteLoss      the training diverged
    └── Interrupted        the user or a signal stopped the process; its state is saved

Every error has one sentence on what is wrong and one on what to do. The command prints both without a traceback and
exits with the ``exit_code`` of the error.
"""

import os


class ElmanError(Exception):
    """The root of the tree.

    Parameters
    ----------
    problem
        One sentence: what is wrong, with the offending value.
    remedy
        One sentence: what to do.
    """

    exit_code = 2

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem} {remedy}")
        self.problem = problem
        self.remedy = remedy

    def __reduce__(self) -> tuple[type["ElmanError"], tuple[str, str]]:
        """Return the parts from which another process builds the same error."""
        return type(self), (self.problem, self.remedy)


class ConfigError(ElmanError):
    """An option has an invalid value, or two options exclude each other."""


class DataError(ElmanError):
    """Data is missing, damaged, or not in the expected form."""


class SourceUnreachable(DataError):
    """The data is not on this machine, and its host does not answer."""


class LanguageError(ElmanError):
    """A formal language cannot be built as described, or a prefix has no next-symbol distribution.

    ``place`` says where in the description: keys from the outside in, such as ``("rules", "S", "a S b")``. A
    language's file turns it into a line number.
    """

    def __init__(self, problem: str, remedy: str, place: tuple[str, ...] = ()) -> None:
        super().__init__(problem, remedy)
        self.place = place


class RunError(ElmanError):
    """A directory is not a run, or this version cannot read it."""


class TestSplitLocked(ElmanError):
    """The test split was requested without ``--final``."""

    __test__ = False  # pytest takes a class whose name starts with "Test" for a test


class NonFiniteLoss(ElmanError):
    """The loss or the gradient became infinite or not a number."""


class StepFailed(RunError):
    """A step of a study failed; the other steps and the report are done."""

    exit_code = 1


class Interrupted(ElmanError):
    """The user pressed Ctrl-C, or a signal stopped the process; its state is saved."""

    exit_code = 130  # 128 + SIGINT, as in shells


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out, on the machine or the device; torch has no class for it."""
    return isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error)


def reason(error: Exception) -> str:
    """Return why a file could not be read, without Python's ``[Errno 2]`` and without the path.

    >>> reason(FileNotFoundError(2, "No such file or directory", "x.toml"))
    'no such file or directory'
    """
    text = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
    return text[:1].lower() + text[1:]
