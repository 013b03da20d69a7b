"""``elman data``."""

from typing import Annotated, Any

from cyclopts import Parameter

from elman.cli.apps import NO_DATA_OPTIONS, Json, data_app, named_dataset, show_figures, warn
from elman.config import SplitName
from elman.errors import ConfigError
from elman.options import DataOptions


@data_app.command(name="list")
def list_data(*, json: Json = False) -> None:
    """List the data sets: what they are, and whether they are on this machine.

    IMDb is downloaded when it is first used, unless ``--imdb`` or the environment variable ELMAN_IMDB names it. All
    other data sets are generated.

    Parameters
    ----------
    json
        Print the list as JSON.
    """
    from elman.data.table import listed

    show_figures({"datasets": listed()}, _print_list, json)


def _print_list(figures: dict[str, Any]) -> None:
    for row in figures["datasets"]:
        absent = "" if row["available"] else " (not on this machine yet)"
        print(f"{row['name']:<14} {row['description']}{absent}")


@data_app.command
def info(
    data: str, /, *, options: Annotated[DataOptions, Parameter(name="*")] = NO_DATA_OPTIONS, json: Json = False
) -> None:
    """Count texts, tokens, lengths, classes, and duplicates within and across splits.

    For IMDb, also count the reviews in validation and test that are about a film in training.

    Parameters
    ----------
    data
        The data set: imdb, synth-reviews, negation, a formal language (brackets, dyck:k=2,p=0.4), or its .toml file.
        ``elman data list`` describes them.
    json
        Print the counts as JSON.
    """
    from elman.data.describe import describe
    from elman.report.terminal import print_description

    show_figures(describe(named_dataset(data, options)), print_description, json)


@data_app.command
def show(
    data: str,
    index: int,
    /,
    *,
    split: SplitName = "train",
    final: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    options: Annotated[DataOptions, Parameter(name="*")] = NO_DATA_OPTIONS,
) -> None:
    """Print one text: its label, its tokens, their ids, and the original.

    Parameters
    ----------
    data
        The data set: imdb, synth-reviews, negation, a formal language (brackets, dyck:k=2,p=0.4), or its .toml file.
        ``elman data list`` describes them.
    index
        The number of the text; the first is 0. Reviews of IMDb are sorted from short to long; generated reviews and
        strings of a language are in the order in which they were drawn.
    split
        The part of the data.
    final
        Confirm that a text of the test split may be shown. The ledger records it.
    """
    from elman.data.ledger import record_opening
    from elman.text.tokenize import text_of

    dataset = named_dataset(data, options)
    sequences = dataset.split(split, final=final)
    if not 0 <= index < len(sequences):
        raise ConfigError(f"{data} has no {split} text {index}.", f"Use 0 to {len(sequences) - 1}.")
    if split == "test":
        record_opening(dataset.name, dataset.checksum, f"elman data show {data} {index}", "", warn)
    ids = sequences[index].tolist()
    if sequences.labels is not None and sequences.labels[index] >= 0:
        label = int(sequences.labels[index])
        print(f"label  {label} ({dataset.class_names[label]})")
    print("tokens", text_of(dataset.vocab.decode(ids), dataset.level))
    print("ids   ", " ".join(map(str, ids)))
    if dataset.texts is not None:
        print("text  ", dataset.texts.text(split, index))
