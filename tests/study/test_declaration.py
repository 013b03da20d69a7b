"""A study file declares steps and their order; an invalid one is refused with the place of the mistake."""

import hashlib
import json

import pytest

from elman.errors import ConfigError
from elman.report.former_names import with_current_names
from elman.study import parse_study
from elman.study.engine import _digests

STEP = '[[questions]]\n[[questions.steps]]\nname = "a"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = 'x'", r"no \[\[questions\]\]"),
        ("questions = []", r"no \[\[questions\]\]"),
        ("questions = 3", r"no \[\[questions\]\]"),
        ("[[questions]]\ntitle = 'x'", r"no \[\[steps\]\]"),
        ("runz = 1", "'runz' is unknown"),
        ("[[questions]]\nrunz = 1\nsteps = [{ name = 'a', kind = 'data' }]", "unknown field 'runz'"),
        ("[fallbacks.x.data]\nname = 'imdb'", "'x' is unknown"),
        ("title = ", "not TOML"),
        ("[[questions]]\nsteps = [{ kind = 'data' }]", "name is missing"),
        ("[[questions]]\nsteps = [{ name = '../a', kind = 'data' }]", "cannot be part of a file name"),
        ("[[questions]]\nsteps = [{ name = 3, kind = 'data' }]", "name is missing"),
        ("[[questions]]\nkind = 'data'\nsteps = [{ name = 'a' }, { name = 'a' }]", "is used twice"),
        (STEP, "the kind '' is unknown"),
        (STEP + "kind = 'dance'", "the kind 'dance' is unknown"),
        (STEP + "kind = 'data'\nbase = 'b'", "the base 'b' is unknown"),
        (STEP + "kind = 'comparison'\nneeds = ['b']", "needs 'b', which is not an earlier step"),
        (STEP + "kind = 'comparison'\nneeds = ['a']", "needs 'a', which is not an earlier step"),
        (STEP + "kind = 'comparison'\nmodel = { layer = 'lstm' }", "has no model"),
        (STEP + "kind = 'classifier'\nmodel = { layers = 3 }", "unknown field 'layers'"),
        (STEP + "kind = 'classifier'\nmodel = { layer = 'cnn' }", "cannot be 'cnn'"),
        (STEP + "kind = 'classifier'\nloop = { epochs = 0 }", "--epochs must be 1 or more"),
        (STEP + "kind = 'classifier'\nloop = { epochs = 1.5 }", "epochs cannot be 1.5"),
        (STEP + "kind = 'classifier'\nseedz = [1]", "unknown field 'seedz'"),
        (STEP + "kind = 'classifier'\nseeds = []", r"seeds cannot be \[\]"),
        (STEP + "kind = 'classifier'\nseeds = [1, 1]", r"seeds cannot be \[1, 1\]"),
        (STEP + "kind = 'classifier'\nseeds = [-1]", r"seeds cannot be \[-1\]"),
        (STEP + "kind = 'classifier'\nseeds = 3", "Use a list of int"),
        (STEP + "kind = 'classifier'\nseeds = ['x']", "Use a list of int"),
        (STEP + "kind = 'padding'\nbatch_sizes = [0]", r"batch_sizes cannot be \[0\]"),
        (STEP + "kind = 'language-model'\nlength_factors = [0]", "length_factors cannot be"),
        (STEP + "kind = 'classifier'\nfrom = 'b'", "needs 'b', which is not an earlier step"),
        (
            "[[questions]]\nbase = 'b'\nsteps = [{ name = 'a', kind = 'classifier' },"
            " { name = 'c', kind = 'test-evaluation', from = 'a', loop = { epochs = 9 } }]"
            "\n[bases.b.data]\nname = 'negation'",
            "evaluates a as it is, so it cannot change its loop",
        ),
        (
            "[[questions]]\nbase = 'b'\nsteps = [{ name = 'a', kind = 'baseline' },"
            " { name = 'c', kind = 'test-evaluation', from = 'a', seeds = [0, 1] }]\n[bases.b.data]\nname = 'negation'",
            "a baseline gives the same result for every seed",
        ),
        (STEP + "kind = 'classifier'\nmodel = 'lstm'", "model is not a table"),
        (STEP + "kind = 'classifier'\nbase = 'b'\n[bases]\nb = { data = 'imdb' }", "b data is not a table"),
        (STEP + "kind = 'classifier'\nbase = 'b'\n[bases]\nb = 'imdb'", "b is not a table"),
        ("[[questions]]\ntext = '{{ steps.a-b.figures.x }}'\nsteps = [{ name = 'a-b', kind = 'data' }]", "filled in"),
        ("[[questions]]\ntext = '{{ steps.a | pct }}'\nsteps = [{ name = 'a', kind = 'data' }]", "filled in"),
        ("[[questions]]\ntext = '{{ 1 / 0 }}'\nsteps = [{ name = 'a', kind = 'data' }]", "filled in"),
        (
            "[[questions]]\ntext = '{{ steps.b.figures.x }}'\nsteps = [{ name = 'a', kind = 'data' }]",
            "in the text of 'Question 1': 'b' is unknown",
        ),
        ("[[questions]]\ntext = 3\nsteps = [{ name = 'a', kind = 'data' }]", "the text 3 is not a string"),
        ("title = 3\n" + STEP + "kind = 'data'", "the title 3 is not a string"),
        (STEP + "kind = 'padding'\nbatch_sizes = []", "batch_sizes cannot be empty"),
        (STEP + "kind = 'baseline'\nstrengths = []", "strengths cannot be empty"),
        (STEP + "kind = 'language-model'\nshown_temperatures = []", "shown_temperatures cannot be empty"),
        (STEP + "kind = 'classifier'\ndata = { name = 'brackets' }", "strings of a formal language have no classes"),
        (STEP + "kind = 'baseline'\ndata = { name = 'brackets' }", "strings of a formal language have no classes"),
        (STEP + "kind = 'classifier'\ndata = { task = 'pretraining' }", "its data.task is pretraining"),
        (
            "[[questions]]\nsteps = [{ name = 'a', kind = 'language-model', data = { name = 'brackets' } },"
            " { name = 'c', kind = 'classifier', from = 'a' }]",
            "its data.task is language-model",
        ),
        (STEP + "kind = 'search'\ntrials = 0", "cannot be"),
        (STEP + "kind = 'search'\nspace = 3", "Use a table"),
        (STEP + "kind = 'baseline'\nmethod = 'svm'", "method cannot be 'svm'"),
        (
            "[[questions]]\nsteps = [{ name = 'a', kind = 'data' }, { name = 'b', kind = 'comparison', from = 'a' }]",
            "cannot take its configuration from 'a'",
        ),
        (
            STEP + "kind = 'language-model'\ndata = { name = 'brackets' }\nmodel = { layer = 'mlp' }",
            "cannot be a language model",
        ),
    ],
)
def test_an_invalid_study_file_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_study(text, "bad")


def test_a_step_overrides_its_base_which_overrides_the_preset() -> None:
    text = """
        [bases.strings]
        data = { name = "brackets", strings = 300 }
        model = { hidden_size = 20 }
        [[questions]]
        base = "strings"
        steps = [
            { name = "lm", kind = "language-model", model = { embedding_size = 7 }, seeds = [3, 4] },
            { name = "padding", kind = "padding", batch_sizes = [2] },
        ]
    """
    language_model, padding = parse_study(text, "study").steps
    config = language_model.config
    assert (config.data.task, config.data.strings, config.batches.tokens_per_batch) == ("language-model", 300, 3_000)
    assert (config.model.hidden_size, config.model.embedding_size) == (20, 7)
    assert language_model.options.seeds == [3, 4]
    assert language_model.fallback is None
    assert padding.options.batch_sizes == [2]
    assert padding.config.data.name == "brackets"


def test_keys_of_a_question_are_the_defaults_of_its_steps() -> None:
    text = """
        [[questions]]
        kind = "search"
        trials = 7
        loop = { epochs = 3 }
        space.optim.learning_rate = [0.1]
        steps = [
            { name = "same", data = { name = "synth-reviews" } },
            { name = "other", data = { name = "synth-reviews" }, trials = 8, loop = { epochs = 4 }, space = {} },
        ]
    """
    same, other = parse_study(text, "study").steps
    assert (same.options.trials, other.options.trials) == (7, 8)
    assert (same.config.loop.epochs, other.config.loop.epochs) == (3, 4)
    assert (same.options.space, other.options.space) == ({"optim": {"learning_rate": [0.1]}}, {})


def test_the_fallback_replaces_the_data_of_a_step() -> None:
    text = """
        [bases.reviews.data]
        name = "imdb"
        hold_out = "films"
        [fallbacks.reviews]
        data = { name = "negation", synthetic_size = 200 }
        model = { hidden_size = 5 }
        [[questions]]
        steps = [{ name = "a", kind = "classifier", base = "reviews", model = { layer = "gru" } }]
    """
    [step] = parse_study(text, "study").steps
    assert (step.config.data.name, step.config.model.hidden_size) == ("imdb", 300)
    assert step.config.data.hold_out == "films"
    assert (step.fallback.data.name, step.fallback.model.hidden_size) == ("negation", 5)
    assert (step.fallback.data.synthetic_size, step.fallback.data.hold_out) == (200, None)
    assert step.config.model.layer == step.fallback.model.layer == "gru"


def test_a_step_may_take_the_configuration_of_an_earlier_step() -> None:
    text = """
        [[questions]]
        steps = [
            { name = "search", kind = "search", data = { name = "negation" }, model = { layer = "gru" } },
            { name = "gru", kind = "classifier", from = "search", needs = [], loop = { epochs = 9 } },
        ]
    """
    search, gru = parse_study(text, "study").steps
    assert gru.needs == ("search",)
    assert (gru.config.model, gru.config.data) == (search.config.model, search.config.data)
    assert (search.config.loop.epochs, gru.config.loop.epochs) == (3, 9)


def test_former_names_of_kinds_declare_the_same_steps_with_the_same_digests() -> None:
    text = """
        [[questions]]
        steps = [
            { name = "nb-svm", kind = "baseline", data = { name = "negation" } },
            { name = "expected", kind = "preregistration", needs = ["nb-svm"] },
            { name = "tested", kind = "test-evaluation", from = "nb-svm", needs = ["expected"] },
        ]
    """
    former = text.replace("baseline", "yardstick").replace("preregistration", "hypothesis")
    study, former_study = parse_study(text, "study"), parse_study(former.replace("test-evaluation", "final"), "study")
    assert former_study.steps == study.steps
    kinds = [{"kind": kind} for kind in ("yardstick", "hypothesis", "final")]
    assert with_current_names({"questions": kinds}) == {"questions": [{"kind": step.kind} for step in study.steps]}


def test_digests_do_not_depend_on_the_renaming_of_kinds() -> None:
    """Otherwise continuing an older study would repeat its steps, and open the test split again."""
    study = parse_study("[[questions]]\nsteps = [{ name = 'expected', kind = 'preregistration' }]", "study")
    content = {"config": None, "format": 2, "kind": "hypothesis", "needs": {}, "options": {}}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    assert _digests(study) == {"expected": digest}
