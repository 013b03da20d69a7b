"""Sentences about the data and about padding."""

from elman.formatting import count, percent, plain, tenths
from elman.report.results import Figures


def leakage(figures: Figures) -> str:
    """Say how many validation and test texts are identical to a training text."""
    if "duplicates" not in figures:
        share = figures.get("val_in_train_share")
        if share is None:
            return ""
        if share == 0:
            return "No validation string occurs in the training strings."
        return (
            f"{percent(share)} of the validation strings also occur in the training strings, where the most frequent"
            f" string has a share of {percent(figures['most_frequent_share'])}. A string that was trained on does not"
            " test whether a model generalizes; the excess over the floor and longer strings than those of training do."
        )
    duplicates = figures["duplicates"]
    if duplicates["across_splits"] == duplicates["val_in_train"] == 0:
        return "No validation or test text is identical to a training text."
    return (
        f"{count(duplicates['val_in_train'])} validation texts are identical to a text that models are trained on, and"
        f" {count(duplicates['across_splits'])} test texts to a text in train. A model may remember the labels of these"
        " texts, so the accuracy may be too high by up to this number of texts."
    )


def shared_films(figures: Figures) -> str:
    """Say how many texts are about a film that is trained on, and what the film alone predicts."""
    films = figures.get("films")
    if films is None:
        return ""
    val, test = films["val"]["share"], films["test"]["share"]
    sentence = (
        f"{percent(val)} of the validation texts and {percent(test)} of the test texts are about a film that the"
        " training texts are about too."
    )
    if val <= test:
        return f"{sentence} Remembering films helps a model no more often on validation than on the test."
    return (
        f"{sentence} A baseline that sees only the film is right on {percent(films['val_by_film'])} of the validation"
        " texts: it predicts the majority class of the film's training texts, and guesses if there is none. The"
        " validation accuracy of a model that remembers films is therefore too high for the test."
    )


def lengths(figures: Figures) -> str:
    """Say how much the lengths differ."""
    train = figures["splits"]["train"]
    longest, median = train["length_max"], train["length_median"]
    if longest == train["length_min"]:
        return f"All training texts have {count(longest)} tokens, so none needs padding."
    return (
        f"Half of the training texts have at most {plain(median)} tokens, and the longest has {count(longest)}. All"
        " texts of a batch are padded to its longest text."
    )


def vocabulary(figures: Figures) -> str:
    """Say how the vocabulary determines the size of the embedding table."""
    token = "word" if figures["level"] == "word" else "symbol"
    labeled = "test" in figures["splits"]
    place = "in the texts of training, validation and test" if labeled else "in the texts"
    sentence = (
        f"The embedding table has {count(figures['vocab_size'])} rows: one for each {token} that occurs {place}, and"
        " one for each special token (.pad, .start, .end and .unk)."
    )
    test_only = f" Training on labeled texts alone never trains the row of a {token} that only the test contains."
    return sentence + (test_only if labeled else "")


def padding_by_batch_size(figures: Figures) -> str:
    """Compare the share of padding in the smallest and in the largest batches."""
    rows = sorted(figures["rows"], key=lambda row: row["batch_size"])
    first, last = rows[0], rows[-1]
    ends = (
        f"from {percent(first['random'])} at batch size {count(first['batch_size'])} to {percent(last['random'])} at"
        f" batch size {count(last['batch_size'])}"
    )
    if not last["random"] > first["random"]:
        return f"Padding does not grow with the batch size here: it goes {ends}."
    return (
        f"In random batches padding grows {ends}. All texts of a batch are padded to its longest text, and with more"
        f" texts that one is longer: {tenths(last['mean_longest'])} tokens on average at the largest batch size, where"
        f" the mean length of a text is {tenths(figures['mean_length'])}."
    )


def sorting_by_length(figures: Figures) -> str:
    """Say how sorting by length changes the padding of the largest batches."""
    last = max(figures["rows"], key=lambda row: row["batch_size"])
    change, size = f"from {percent(last['random'])} to {percent(last['sorted'])}", count(last["batch_size"])
    if last["sorted"] < last["random"]:
        return f"Sorting by length reduces padding {change} at batch size {size}."
    return f"Sorting by length does not reduce padding here: it goes {change} at batch size {size}."
