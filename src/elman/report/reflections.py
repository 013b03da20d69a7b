"""What the figures say, in sentences: functions from figures to text, and nothing else.

No sentence here is true of every result. Each is chosen by the figures, so that a ranking turned around turns the
conclusion around. Two figures are called different only where the interval of their difference leaves zero out.
"""

import tomllib
from collections.abc import Callable, Sequence
from typing import Any

from elman.progress import seconds
from elman.report.wording import (
    count,
    digits,
    excess,
    interval,
    listed,
    nats,
    percent,
    plain,
    points,
    tenths,
    with_interval,
)

Figures = dict[str, Any]
Steps = dict[str, Figures]
"""Step → its figures."""

HELD = 0.99
"""The share of prefixes at which a model must tell what may follow, to be said to hold at that length."""

MEASURES: dict[str, tuple[Callable[[float], str], str]] = {
    "test_accuracy": (points, "percentage points"),
    "val_accuracy": (points, "percentage points"),
    "excess_nats_per_token": (excess, "nats a token"),
    "val_bits_per_token": (excess, "bits a token"),
}
"""How a difference is written, and its unit."""

QUALITIES: dict[str, Callable[[float], str]] = {"val_accuracy": percent, "val_cross_entropy_nats": nats}
"""How what a search goes by is written."""

EQUAL = 1e-9
"""How far apart two computations of the same in float64 may lie, by rounding."""

GOOD = 0.99
"""The share of grammatical samples from which on a model is said to have learnt its language."""


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
        " figures on them are, by so many texts, a little too good."
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
    return (
        f"An embedding is a table with a row for every id: {count(found['vocab_size'])} rows here, one for each"
        f" {what} that occurs and one for each of the specials .pad, .start, .end and .unk."
    )


def padding_grows(found: Figures) -> str:
    """Say whether padding grows with the batch, by how much, and why."""
    rows = found["rows"]
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
    last = found["rows"][-1]
    if last["sorted"] < last["random"]:
        return (
            f"Sorted by length, batches of {count(last['batch_size'])} are {percent(last['sorted'])} padding instead of"
            f" {percent(last['random'])}."
        )
    return f"Sorting by length saves nothing here: {percent(last['sorted'])} of the batches is padding all the same."


def best_classifier(steps: Steps) -> str:
    """Name the classifier of the highest accuracy, with its interval."""
    return _best(steps, "val_accuracy", "validation")


def _best(steps: Steps, measure: str, split: str) -> str:
    best = max(steps, key=lambda name: steps[name]["summary"][measure]["mean"])
    accuracy = steps[best]["summary"][measure]
    highest = f", the highest of {listed(list(steps))}" if len(steps) > 1 else ""
    return f"{best} classifies {with_interval(accuracy)} of the {split} texts rightly{highest}."


def elman_equals_torch(found: Figures) -> str:
    """Say whether the Elman written by hand computes what torch's network and the loops compute."""
    worst = max(found["equal"].values())
    if worst > EQUAL:
        return f"The Elman written by hand does not compute what torch and the loops compute: {digits(worst)} apart."
    return (
        "The Elman written by hand computes what a loop over the tokens computes, gradients too, and its states are"
        f" those of `nn.RNN` on the same weights (at most {digits(worst)} apart, which is rounding). `nn.RNN` ends"
        " there: it lacks the output layer of an Elman network."
    )


def faster_than_the_loop(found: Figures) -> str:
    """Say how fast it is against the loops and against torch's, where all pairs agree."""
    said = []
    for row in found["times"]:
        how = (
            f"{digits(row['ratio'])} times as fast as"
            if row["ratio_least"] > 1
            else f"slower than ({digits(row['ratio'])} times the speed of)"
            if row["ratio_most"] < 1
            else "not to be told in speed from"
        )
        said.append(f"{how} {row['peer']}")
    return f"It is {listed(said)}."


def batch_first(found: Figures) -> str:
    """Say what leaving out batch_first does."""
    kept, lost = (found["torch"][f"moved_{how}_batch_first"] for how in ("with", "without"))
    if lost > 0 and kept == 0:
        return (
            "Without `batch_first` torch takes the first dimension for time and says nothing: shapes stay the same, but"
            f" changing one text moves the states of the others (by up to {digits(lost)}). With it they do not move."
        )
    return (
        f"Changing one text moves the states of others by {digits(kept)} with `batch_first`, by {digits(lost)} without."
    )


def softmax_in_the_loss(found: Figures) -> str:
    """Say why softmax belongs into the loss, and whether argmax needs it."""
    out, inside = found["torch"]["infinite_after_softmax"], found["torch"]["infinite_in_the_loss"]
    logit, same = plain(found["torch"]["logit"]), found["torch"]["argmax_same"]
    loss = (
        f"At a logit of {logit} the logarithm of the softmax is infinite, that in the loss (log-softmax) is not"
        if out > inside
        else f"At a logit of {logit} it makes no difference whether the softmax stands in the loss"
    )
    return f"{loss}. The largest logit is the largest probability in {percent(same)} of the cases."


def expectation(steps: Steps) -> str:
    """Say which order was expected."""
    said = [
        ", then ".join(f"{row['step']} {percent(row['accuracy'])}" for row in found["expected"])
        for found in steps.values()
    ]
    return f"Expected before the test: {'; '.join(said)}."


def best_on_test(steps: Steps) -> str:
    """Name the model of the highest accuracy on the test texts."""
    return _best(steps, "test_accuracy", "test")


def as_expected(steps: Steps) -> str:
    """Hold the test to what was expected: the order, and each interval."""
    tested = {name: found["summary"]["test_accuracy"]["mean"] for name, found in steps.items()}
    by_test = sorted(steps, key=lambda name: -tested[name])
    by_expectation = sorted(steps, key=lambda name: -steps[name]["expected"]["accuracy"])
    said = []
    if len(steps) > 1:
        order = "is the order found" if by_test == by_expectation else f"is not; found was {', then '.join(by_test)}"
        said.append(f"The expected order, {', then '.join(by_expectation)}, {order}.")
    where: dict[str, list[str]] = {"within": [], "above": [], "below": []}
    for name, found in steps.items():
        low, high = found["expected"]["low"], found["expected"]["high"]
        where["below" if tested[name] < low else "above" if tested[name] > high else "within"].append(name)
    places = [f"{listed(names)} {place}" for place, names in where.items() if names]
    said.append(f"Of the expected intervals: {'; '.join(places)}.")
    return " ".join(said)


def together_better(steps: Steps) -> str:
    """Say whether judging together helps, against the mean of the best member's seeds."""
    said = []
    for name, found in steps.items():
        best = max(found["members"], key=lambda member: member["mean"])
        mine = found["summary"]["test_accuracy"]
        above, below = mine["low"] > best["mean"], mine["high"] < best["mean"]
        how = "better than" if above else "worse than" if below else "not to be told from"
        said.append(f"{name} with {with_interval(mine)} is {how} a single {best['step']} ({percent(best['mean'])})")
    return f"{'; '.join(said)}."


def best_yardstick(steps: Steps) -> str:
    """Name the yardstick of the highest accuracy: what a network has to beat."""
    best = max(steps, key=lambda name: steps[name]["summary"]["val_accuracy"]["mean"])
    accuracy = steps[best]["summary"]["val_accuracy"]
    return f"The yardstick to beat is {best}: {with_interval(accuracy)} of the validation texts."


def strength_at_the_edge(steps: Steps) -> str:
    """Say where the strength that was chosen is the least or the greatest that was tried."""
    said = []
    for name, found in steps.items():
        strengths = [row["strength"] for row in found["tried"]]
        if len(strengths) > 1 and found["strength"] in (min(strengths), max(strengths)):
            which = "least" if found["strength"] == min(strengths) else "greatest"
            said.append(f"the C of {name}, {plain(found['strength'])}, is the {which} that was tried")
    return f"A better value may lie beyond: {'; '.join(said)}." if said else ""


def no_better_than_guessing(steps: Steps) -> str:
    """Name the classifiers whose interval holds the accuracy of guessing."""
    guessing = [
        name for name, found in steps.items() if _holds(found["summary"]["val_accuracy"], 1 / len(found["class_names"]))
    ]
    return f"Of {listed(guessing)} it cannot be said that it does better than guessing a class." if guessing else ""


def overfitting(steps: Steps) -> str:
    """Name the classifiers whose loss on validation rose while that on training still fell."""
    past = [f"{name} after epoch {count(epoch)}" for name, found in steps.items() if (epoch := _turning_point(found))]
    rest = [name for name, found in steps.items() if len(found["epochs"]) > 1 and not _turning_point(found)]
    if not past and not rest:
        return ""
    if not past:
        return f"{listed(rest)} had not begun to overfit: the loss on validation was at its lowest at the end."
    return f"Overfitting: the loss on validation rose while that on training still fell, of {listed(past)}." + (
        f" {listed(rest)} had not come so far." if rest else ""
    )


def calibrated(steps: Steps) -> str:
    """Say of the classifiers whether they are as sure as they are right."""
    by_direction: dict[str, list[str]] = {"surer": [], "less sure": []}
    for name, found in steps.items():
        bins = [part for seed in found["by_seed"] for part in seed["calibration"]["bins"]]
        gap = sum(part["sequences"] * (part["confidence"] - part["accuracy"]) for part in bins)
        error = found["summary"]["val_calibration_error"]["mean"]
        by_direction["surer" if gap > 0 else "less sure"].append(
            f"{name} (expected calibration error {percent(error)})"
        )
    said = [f"{listed(names)}: {way} than right" for way, names in by_direction.items() if names]
    return f"On average over the validation texts, {'; '.join(said)}."


def leaning(steps: Steps) -> str:
    """Say which class is taken for which more often; of two classes, by the first run."""
    said = []
    for name, found in steps.items():
        if len(found["class_names"]) != 2:
            continue
        first, second = found["class_names"]
        missed = {first: found["by_seed"][0]["confusion"][0][1], second: found["by_seed"][0]["confusion"][1][0]}
        more, less = (first, second) if missed[first] > missed[second] else (second, first)
        if missed[more] > missed[less]:
            said.append(
                f"{name} takes {count(missed[more])} {more} texts for {less} and {count(missed[less])} the other way"
                " around"
            )
    return f"{'; '.join(said)}." if said else ""


def seeds_differ(steps: Steps) -> str:
    """Say how far apart the runs of different seeds are."""
    said = [
        f"{name} from {percent(accuracy['least'])} to {percent(accuracy['most'])}"
        for name, found in steps.items()
        if (accuracy := found["summary"].get("test_accuracy") or found["summary"]["val_accuracy"])["interval"]
        == "seeds"
    ]
    return f"From seed to seed the accuracy runs, of {listed(said)}." if said else ""


def clipping_acted(steps: Steps) -> str:
    """Say how often clipping acted."""
    said = [
        f"{name} {percent(found['clipped_share'])}"
        for name, found in steps.items()
        if found["clipped_share"] is not None
    ]
    free = [name for name, found in steps.items() if found["clipped_share"] is None]
    parts = [f"Share of logged updates whose gradient was longer than the limit and was clipped: {listed(said)}."]
    return " ".join((parts if said else []) + ([f"The gradients of {listed(free)} were not clipped."] if free else []))


def distance_to_floor(steps: Steps) -> str:
    """Say how far each language model is from the best possible one."""
    said = []
    for name, found in steps.items():
        if "excess_nats_per_token" not in found["summary"]:
            bits = found["summary"]["val_bits_per_token"]
            unit = "character" if found["data"]["level"] == "char" else "word"
            said.append(f"{name} needs {with_interval(bits, nats)} bits a {unit} of validation")
            continue
        figure, floor = found["summary"]["excess_nats_per_token"], found["summary"]["floor_nats_per_token"]["mean"]
        distance = f"{with_interval(figure, excess)} nats a token above the floor of {nats(floor)}"
        within_chance = all(seed["grade"]["fresh"]["excess_low"] <= 0 for seed in found["by_seed"])
        same = ", no more than chance explains: it cannot be told from the generator" if within_chance else ""
        said.append(f"{name} is {distance}{same}")
    return "; ".join(said) + "."


def learnt(steps: Steps) -> str:
    """Say which language models write grammatical strings, by many samples."""
    shares = {
        name: found["summary"]["grammatical_share"]
        for name, found in steps.items()
        if "grammatical_share" in found["summary"]
    }
    good = [f"{name} {with_interval(share)}" for name, share in shares.items() if share["mean"] >= GOOD]
    bad = [f"{name} {with_interval(share)}" for name, share in shares.items() if share["mean"] < GOOD]
    said = [f"{percent(GOOD)} of the samples or more are grammatical: {listed(good)}."] if good else []
    return " ".join(
        said + ([f"Fewer than {percent(GOOD)} of the samples are grammatical: {listed(bad)}."] if bad else [])
    )


def course_verdict(steps: Steps) -> str:
    """Hold the course's verdict, a majority of ten samples by its own check, to that of many samples."""
    said = []
    for name, found in steps.items():
        history = [entry for entry in found["samples_by_epoch"] if entry["first_ten"]]
        if not history or "grammatical_share" not in found["summary"]:
            continue
        first = next((entry["epoch"] for entry in history if _majority(entry["first_ten"])), None)
        last, share = history[-1], found["summary"]["grammatical_share"]["mean"]
        agrees = _majority(last["first_ten"]) == (share > 0.5)
        passes = f"passes after epoch {count(first)} for the first time" if first else "passes after no epoch"
        of_all = f"of all {count(found['samples_judged'])} samples {percent(share)} are grammatical"
        verdict = "agrees with its last verdict" if agrees else "contradicts its last verdict"
        said.append(f"{name} {passes} (of {count(last['epoch'])}); {of_all}, which {verdict}")
    return f"By the course's check, whether most of ten samples are right: {'; '.join(said)}." if said else ""


def temperature_matters(steps: Steps) -> str:
    """Say at which temperature most samples are grammatical, and what the highest does."""
    said = []
    for name, found in steps.items():
        rows = found.get("temperatures")
        if not rows:
            continue
        best = max(rows, key=lambda row: row["grammatical_share"]["mean"])
        hot = max(rows, key=lambda row: row["temperature"])
        share = percent(best["grammatical_share"]["mean"])
        text = f"{name} writes most grammatical strings at temperature {plain(best['temperature'])} ({share})"
        if hot is not best:
            text += f", and {percent(hot['grammatical_share']['mean'])} at {plain(hot['temperature'])}"
        said.append(text)
    return f"{'; '.join(said)}." if said else ""


def generalises(steps: Steps) -> str:
    """Say how far beyond the lengths of training each model tells what may follow from what may not."""
    said = []
    for name, found in steps.items():
        known = found.get("generalisation")
        for key, what in (("by_length", "long"), ("by_depth", "deep")):
            rows = known.get(key, []) if known else []
            broken = next((row for row in rows if row["accuracy"]["mean"] < HELD), None)
            if rows and broken is None:
                said.append(f"{name} holds up to {count(rows[-1]['factor'])} times as {what} as in training")
            elif broken:
                where = f"{count(broken['factor'])} times as {what} as in training"
                said.append(f"{name} fails at {where} ({percent(broken['accuracy']['mean'])})")
    if not said:
        return ""
    return f"Telling what may follow from what may not at {percent(HELD)} of the prefixes or more: {'; '.join(said)}."


def prompts_continued(steps: Steps) -> str:
    """Say how many strings are grammatical that go on from a prompt."""
    said = [
        f"{name} {with_interval(row['grammatical_share'])} from a prompt of {count(row['symbols'])} symbols"
        for name, found in steps.items()
        for row in found.get("prompts", [])
    ]
    return f"Grammatical strings among those that go on from a prompt: {'; '.join(said)}." if said else ""


def ranking(found: Figures) -> str:
    """Say of neighbours in the ranking (or of each and the one that all are held to) which can be told apart."""
    write, unit = MEASURES[found["measure"]]
    order = [row["step"] for row in found["order"]]
    said = []
    for pair in found["pairs"]:
        if not found["against"] and order.index(pair["worse"]) - order.index(pair["better"]) > 1:
            continue
        if pair["apart"]:
            by = f"{write(pair['difference'])} {unit} (95%: {interval(pair, write)})"
            said.append(f"{pair['better']} is better than {pair['worse']} by {by}")
        else:
            said.append(f"{pair['better']} cannot be told from {pair['worse']}")
    return "; ".join(said) + "."


def searched_equally(steps: Steps) -> str:
    """Cut several searches at the trials and at the time of the shortest, and say which was ahead there."""
    if len(steps) < 2 or len({found["metric"] for found in steps.values()}) > 1:
        return ""
    first = next(iter(steps.values()))
    pick, write = max if first["direction"] == "maximize" else min, QUALITIES[first["metric"]]
    said = []
    for unit, how in (("trials", count), ("seconds", seconds)):
        least = min(found["best_so_far"][-1][unit] for found in steps.values())
        cut = {name: best_until(found["best_so_far"], unit, least) for name, found in steps.items()}
        known = {name: value for name, value in cut.items() if value is not None}
        if not known:
            continue
        ahead = pick(known, key=lambda name: known[name])
        rest = listed([f"{name} {write(value)}" for name, value in known.items()])
        amount = f"{how(least)} trials each" if unit == "trials" else f"{how(least)} each"
        said.append(f"after {amount} {ahead} is ahead on validation ({rest})")
    return f"Cut where the shortest search ends, {'; '.join(said)}." if said else ""


def best_until(points: list[dict[str, Any]], unit: str, most: float) -> float | None:
    """Return the best value that a search had come to after so many "trials" or "seconds"; None where to none."""
    values = [point["value"] for point in points if point[unit] <= most]
    return values[-1] if values else None


def still_rising(steps: Steps) -> str:
    """Say which searches found their best in the last quarter of their trials."""
    late = [name for name, found in steps.items() if 4 * (found["best"]["number"] + 1) > 3 * len(found["trials"])]
    return f"{listed(late)}: the best came in the last quarter of the trials, so more might be found." if late else ""


def what_mattered(steps: Steps) -> str:
    """Name the knob that explains most of each search's spread."""
    said = []
    for name, found in steps.items():
        if found["importance"]:
            knob = max(found["importance"], key=lambda key: found["importance"][key])
            said.append(f"`{knob}` in {name} ({percent(found['importance'][knob])} of what the knobs explain)")
    return f"What mattered most: {'; '.join(said)}." if said else ""


def found_best(steps: Steps) -> str:
    """Say how good the best trial of each search is, on validation."""
    said = [f"{name} came to {QUALITIES[found['metric']](found['best']['value'])}" for name, found in steps.items()]
    metric = next(iter(steps.values()))["metric"].removeprefix("val_").replace("_", " ")
    return f"Best on validation ({metric}): {'; '.join(said)}. A best of many trials is a little too good."


def too_small_to_be_shown(found: Figures) -> str:
    """Say of those that cannot be told apart how large a difference would have had to be."""
    write, unit = MEASURES[found["measure"]]
    said = [
        f"{pair['better']} and {pair['worse']} {write(pair['smallest'])}"
        for pair in found["pairs"]
        if not pair["apart"] and pair.get("smallest") is not None
    ]
    least = f"least difference ({unit}) that one seed of each would have shown in four of five cases"
    return f"That two cannot be told apart does not make them equal; the {least}: {'; '.join(said)}." if said else ""


def gospel(found: Figures) -> str:
    """Say whether the order that the course expects, LSTM before Elman before MLP, is the order found."""
    order = [row["model"] for row in found["order"]]
    expected = [name for name in ("lstm", "elman", "mlp") if name in order]
    if found["measure"] not in ("val_accuracy", "test_accuracy") or len(expected) < 3:
        return ""
    mine = [name for name in order if name in expected]
    if mine == expected:
        return "The order that is usually expected, lstm before elman before mlp, is the order found."
    return f"The usual expectation, lstm before elman before mlp, is not what was found: {', then '.join(mine)}."


def differences(configs: dict[str, str]) -> str:
    """Say in which options configurations (TOML) differ; of two or more."""
    flat = {name: _flat(tomllib.loads(text)) for name, text in configs.items()}
    keys = sorted(set().union(*(found.keys() for found in flat.values())))
    varied = [key for key in keys if len({str(found.get(key)) for found in flat.values()}) > 1]
    if len(configs) < 2 or not varied:
        return ""
    said = []
    for key in varied:
        values = {name: found.get(key, "none") for name, found in flat.items()}
        told_by_name = all(name == value for name, value in values.items())
        listing = ", ".join(f"{value} ({name})" for name, value in values.items())
        said.append(f"`{key}`" if told_by_name else f"`{key}`: {listing}")
    return f"They differ in {'; '.join(said)}; in nothing else."


def limits(study: dict[str, Any], steps: Sequence[Figures]) -> list[str]:
    """Say what the results cannot show; ``steps`` are whole results."""
    said = []
    done = [step for step in steps if step["status"] == "done"]
    single = [
        step["step"]
        for step in done
        if len(step["options"].get("seeds", [0, 1])) == 1 and step["figures"].get("method") != "yardstick"
    ]
    if study["data_missing"]:
        said.append("The reviews are generated. What is found on them need not hold for reviews that people wrote.")
    if single:
        said.append(
            f"{listed(single)}: one seed each. Their intervals say how far chance in the choice of texts can move a"
            " figure, not how far another seed would."
        )
    classifiers = [step for step in done if step["kind"] == "classifier"]
    tested = any(step["kind"] == "final" for step in done)
    best = [step["step"] for step in classifiers if tomllib.loads(step["config"])["loop"]["keep"] == "best"]
    if best:
        said.append(
            f"The best epoch of {listed(best)} was chosen on the validation texts that the accuracy is measured on, so"
            " it is a little too good."
        )
    if any(step["kind"] in ("search", "yardstick") for step in done):
        said.append(
            "Settings were chosen on validation: of what was chosen so, the figures there are a little too good."
        )
    if classifiers and not tested:
        said.append("The test texts were not opened.")
    if tested:
        said.append("The test texts are of the same source as those of training; of other texts they say nothing.")
    compared = [pair for step in done if step["kind"] == "comparison" for pair in step["figures"]["pairs"]]
    if any(pair["test"] is None for pair in compared):
        said.append("Pairs of one seed each were compared one by one; the more, the likelier that one is chance.")
    if any("grammatical_share" in step["figures"].get("summary", {}) for step in done):
        said.append("Samples show what a model mostly writes; on strings that are rare they say little.")
    absent = [step["step"] for step in steps if step["status"] != "done"]
    if absent:
        said.append(f"Not here: {listed(absent)}. What rests on them is left out.")
    return said


REFLECTIONS: dict[str, tuple[Callable[[Any], str], ...]] = {
    "data": (leakage, lengths, vocabulary),
    "padding": (padding_grows, sorting_helps),
    "classifier": (
        best_classifier,
        no_better_than_guessing,
        seeds_differ,
        overfitting,
        calibrated,
        leaning,
        clipping_acted,
    ),
    "recurrence": (elman_equals_torch, faster_than_the_loop, batch_first, softmax_in_the_loss),
    "hypothesis": (expectation,),
    "final": (best_on_test, as_expected, seeds_differ),
    "ensemble": (together_better,),
    "search": (found_best, searched_equally, still_rising, what_mattered),
    "yardstick": (best_yardstick, no_better_than_guessing, strength_at_the_edge),
    "language-model": (
        distance_to_floor,
        learnt,
        course_verdict,
        temperature_matters,
        prompts_continued,
        generalises,
        clipping_acted,
    ),
    "comparison": (ranking, gospel, too_small_to_be_shown),
}
"""What is said of each kind; of classifiers and language models of all steps together, of the others of each."""

TOGETHER = ("classifier", "language-model", "yardstick", "search", "hypothesis", "final", "ensemble")


def reflect(kind: str, steps: Steps) -> list[str]:
    """Return the sentences on steps of one kind; the first is the finding."""
    if not steps:
        return []
    about: list[Any] = [steps] if kind in TOGETHER else list(steps.values())
    return [said for figures in about for function in REFLECTIONS[kind] if (said := function(figures))]


def _holds(figure: dict[str, Any], value: float) -> bool:
    return figure["low"] is not None and figure["low"] <= value <= figure["high"]


def _turning_point(found: Figures) -> int:
    """Return the epoch after which validation got worse while training got better; 0 where it is the last."""
    entries = found["epochs"]
    val = [entry["val_cross_entropy_nats"]["mean"] for entry in entries]
    train = [entry["train_loss_nats"]["mean"] for entry in entries]
    lowest = min(range(len(val)), key=val.__getitem__)
    return lowest + 1 if val[-1] > val[lowest] and train[-1] < train[lowest] else 0


def _majority(ten: dict[str, int]) -> bool:
    return 2 * ten.get("equal_counts", ten["grammatical"]) > ten["samples"]


def _flat(tables: dict[str, Any]) -> dict[str, Any]:
    return {
        f"{section}.{key}": value
        for section, table in tables.items()
        if isinstance(table, dict)
        for key, value in table.items()
    }
