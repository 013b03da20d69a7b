"""``elman data``."""

from typing import Annotated

from cyclopts import Parameter

from elman.cli.apps import NO_DATA_OPTIONS, Json, data_app, named_dataset, show_figures, warn
from elman.config import SplitName
from elman.errors import ConfigError
from elman.options import DataOptions


@data_app.command
def info(
    data: str, /, *, options: Annotated[DataOptions, Parameter(name="*")] = NO_DATA_OPTIONS, json: Json = False
) -> None:
    """Count what a data set holds: texts, tokens, lengths, classes, duplicates within and across splits.

    Of IMDb also how many reviews of validation, and of the test, tell of a film that is trained on.

    Parameters
    ----------
    data
        The data set: imdb, synth-reviews, negation, a formal language (brackets, dyck:k=2,p=0.4), or its .toml file.
    json
        Print the counts for a program to read.
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
    final: bool = False,
    options: Annotated[DataOptions, Parameter(name="*")] = NO_DATA_OPTIONS,
) -> None:
    """Print one text as tokens, as ids, and as it was written.

    Parameters
    ----------
    data
        The data set: imdb, synth-reviews, negation, a formal language (brackets, dyck:k=2,p=0.4), or its .toml file.
    index
        Which one, from 0. IMDb's reviews go from short to long; generated ones, and strings of a language, as drawn.
    split
        The part of the data.
    final
        Look at the test split; the ledger records it.
    """
    from elman.data.ledger import record_opening
    from elman.text.tokenize import text_of

    dataset = named_dataset(data, options)
    sequences = dataset.split(split, final=final)
    if not 0 <= index < len(sequences):
        raise ConfigError(f"{data} has no {split} text {index}.", f"It has 0 to {len(sequences) - 1}.")
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
