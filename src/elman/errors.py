"""What can go wrong, as a tree.

    ElmanError
    ├── ConfigError        an option, or two that do not go together
    ├── DataError          a source that is missing, damaged, or not what it says
    │   └── SourceUnreachable  it would have to be downloaded, and cannot be
    ├── LanguageError      a formal language that cannot be, or a question that it cannot answer
    ├── RunError           a run directory that is not one, or not of this version
    ├── TestSplitLocked    the test split was asked for without saying that it is final
    ├── NonFiniteLoss      the training diverged
    └── Interrupted        by the user, or by a signal to end; what was done is kept

Every error says in one sentence what is wrong and in one what to do. The command prints both without a
traceback and exits with 2 (130 where it was interrupted).
"""


class ElmanError(Exception):
    """The root of the tree.

    Parameters
    ----------
    problem
        One sentence: what is wrong, with the offending value in it.
    remedy
        One sentence: what to do.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem} {remedy}")
        self.problem = problem
        self.remedy = remedy

    def __reduce__(self) -> tuple[type["ElmanError"], tuple[str, str]]:
        """Return what another process makes the same error of."""
        return type(self), (self.problem, self.remedy)


class ConfigError(ElmanError):
    """An option has a value that it cannot have, or does not go with another."""


class DataError(ElmanError):
    """A source of data is missing, damaged, or not laid out as it should be."""


class SourceUnreachable(DataError):
    """The data is not on this machine, and its host does not answer."""


class LanguageError(ElmanError):
    """A formal language cannot be as described, or a prefix has no next-symbol distribution.

    ``place`` says where in the description: keys from the outside in, such as ``("rules", "S", "a S b")``. A
    language's file turns it into a line.
    """

    def __init__(self, problem: str, remedy: str, place: tuple[str, ...] = ()) -> None:
        super().__init__(problem, remedy)
        self.place = place


class RunError(ElmanError):
    """A directory is not a run, or is one that this version cannot read."""


class TestSplitLocked(ElmanError):
    """The test split was asked for without ``--final``."""

    __test__ = False  # the name starts with "Test"; it is not one


class NonFiniteLoss(ElmanError):
    """The loss or the gradient became infinite or not a number."""


class Interrupted(ElmanError):
    """The user pressed Ctrl-C, or the process was told to end; the state is kept."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether the machine's memory, or the device's, did not suffice; torch says it in words alone."""
    return isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error)
