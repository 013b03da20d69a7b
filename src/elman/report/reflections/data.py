"""What the figures say of the data, and of padding."""

from elman.formatting import count, percent, plain, tenths
from elman.report.steps import Figures


def leakage(found: Figures) -> str:
    """Say whether what a model is measured on was trained on."""
    if "duplicates" not in found:
        share = found.get("val_in_train_share")
        if share is None:
            return ""
        if share == 0:
            return "No validation string occurs among the training strings."
        return (
            f"{percent(share)} of the validation strings occur among the training strings too; the most frequent one"
            f" is {percent(found['most_frequent_share'])} of these. A language that repeats itself so much cannot be"
            " judged by strings that were held out: the excess over the floor and strings that are longer than those"
            " of training tell more."
        )
    repeated = found["duplicates"]
    if repeated["across_splits"] == repeated["val_in_train"] == 0:
        return "No text of validation or test stands word for word in what is trained on."
    return (
        f"{count(repeated['val_in_train'])} validation texts stand word for word in what is trained on, and"
        f" {count(repeated['across_splits'])} test texts in train; on these a model may remember instead of judge, so"
        " figures may be too good, by at most so many texts."
    )


def validation_shares_films(found: Figures) -> str:
    """Say whether validation tells of films that are trained on, more than the test does, and what that is worth."""
    films = found.get("films")
    if films is None:
        return ""
    val, test = films["val"]["share"], films["test"]["share"]
    shares = (
        f"{percent(val)} of the validation texts tell of a film that is trained on too, and {percent(test)} of the test"
        " texts"
    )
    if val <= test:
        return f"{shares}, so what a model remembers of films helps it on validation no more often than on the test."
    return (
        f"{shares}. Who knows nothing but the film, says what most training texts on it say, and else guesses, is right"
        f" about {percent(films['val_by_film'])} of the validation texts. So a model that remembers films is helped"
        " there by what will not help it on the test: validation promises too much."
    )


def lengths(found: Figures) -> str:
    """Say how uneven the lengths are."""
    train = found["splits"]["train"]
    longest, median = train["length_max"], train["length_median"]
    if longest == train["length_min"]:
        return f"All texts have the same length, {count(longest)} tokens, so none needs padding."
    return (
        f"Half of the training texts have {plain(median)} tokens or fewer, the longest {count(longest)}: whatever"
        " stands in a batch with that one is padded to its length."
    )


def vocabulary(found: Figures) -> str:
    """Say how the number of embeddings follows from the vocabulary."""
    what = "word" if found["level"] == "word" else "symbol"
    labelled = "test" in found["splits"]
    where = "occurs in the texts of training, validation and test" if labelled else "occurs"
    said = (
        f"An embedding is a table with a row for every id: {count(found['vocab_size'])} rows here, one for each"
        f" {what} that {where}, and one for each of the specials .pad, .start, .end and .unk."
    )
    alone = f" Labelled texts alone never train the row of a {what} that only the test holds."
    return said + (alone if labelled else "")


def padding_grows(found: Figures) -> str:
    """Say whether padding grows with the batch, by how much, and why."""
    rows = sorted(found["rows"], key=lambda row: row["batch_size"])
    first, last = rows[0], rows[-1]
    if not last["random"] > first["random"]:
        return (
            f"Padding does not grow with the batch here: {percent(first['random'])} with a batch of"
            f" {count(first['batch_size'])}, {percent(last['random'])} with one of {count(last['batch_size'])}."
        )
    return (
        f"Drawn at random, batches of {count(first['batch_size'])} are {percent(first['random'])} padding, batches of"
        f" {count(last['batch_size'])} {percent(last['random'])}: the more texts share a batch, the longer the longest"
        f" of them ({tenths(last['mean_longest'])} tokens on average, where a text has"
        f" {tenths(found['mean_length'])}), and all are padded to it."
    )


def sorting_helps(found: Figures) -> str:
    """Say what sorting by length does to padding, at the largest batch."""
    last = max(found["rows"], key=lambda row: row["batch_size"])
    if last["sorted"] < last["random"]:
        return (
            f"Sorted by length, batches of {count(last['batch_size'])} are {percent(last['sorted'])} padding instead of"
            f" {percent(last['random'])}."
        )
    return f"Sorting by length saves nothing here: {percent(last['sorted'])} of the batches is padding all the same."
