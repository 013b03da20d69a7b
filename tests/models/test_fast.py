"""Every fast form computes what the plain one does: logits, gradients, states, trainings; and reads no padding."""

from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from elman.config import ModelConfig, OptimConfig
from elman.inference import multiplies_bf16
from elman.models import plain, stepper
from elman.models.fast import models as fast
from elman.models.fast import packed, pooling, recurrent
from elman.models.fast.distinct import IndexedRows, distinct_ids
from elman.models.fast.gru import gru_recurrence
from elman.models.fast.packed import Packing
from elman.models.fast.products import add_product
from elman.models.fast.products import product as matrix_product
from elman.models.fast.tanh import Elman, tanh_recurrence
from elman.optim import build_optimizers, clip_gradients
from elman.text.vocab import PAD, UNKNOWN

EXACT = {"rtol": 1e-12, "atol": 1e-12}
VOCAB = 20
LENGTHS = torch.tensor([7, 1, 4, 6])
CELLS = ("elman", "rnn", "gru", "lstm")
SIZES = {"embedding_size": 6, "hidden_size": 6, "embedding_dropout": 0.0, "top_dropout": 0.0}

CLASSIFIERS = [
    ModelConfig(layer=layer, pooling=pool, bidirectional=both, num_layers=layers, stack=stack, **SIZES)
    for layer, pool, both, layers, stack in product(
        ("mlp", *CELLS), ("max", "mean", "last"), (False, True), (1, 2), ("deep", "sum")
    )
    if not (layer == "mlp" and (both or stack == "sum")) and not (layers == 1 and stack == "sum")
]
LANGUAGE_MODELS = [
    ModelConfig(layer=layer, num_layers=layers, stack=stack, tied=tied, **SIZES)
    for layer, layers, stack, tied in product(CELLS, (1, 2), ("deep", "sum"), (False, True))
]


def texts() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    token_ids = torch.randint(4, VOCAB, (4, 7), generator=generator)
    return token_ids.masked_fill(torch.arange(7) >= LENGTHS[:, None], PAD)


def pair(kind: str, config: ModelConfig, *sizes: int, **options: Any) -> tuple[Any, Any]:
    """The plain and the fast form, from the same seed."""
    models = []
    for module, given in ((plain, {}), (fast, options)):
        torch.manual_seed(0)
        models.append(getattr(module, kind)(config, VOCAB, *sizes, **given))
    return models[0], models[1]


def gradients(model: torch.nn.Module) -> list[Tensor]:
    return [weight.grad.to_dense() for weight in model.parameters()]


@pytest.mark.parametrize("config", CLASSIFIERS, ids=str)
def test_classifier_has_the_weights_logits_and_gradients_of_the_plain_one(config: ModelConfig) -> None:
    models = pair("Classifier", config, 3)
    assert [*models[0].state_dict()] == [*models[1].state_dict()]
    logits = []
    for model in models:
        model.double()
        logits.append(model(texts(), LENGTHS))
        logits[-1].square().sum().backward()
    torch.testing.assert_close(logits[1], logits[0], **EXACT)
    for ours, definition in zip(gradients(models[1]), gradients(models[0]), strict=True):
        torch.testing.assert_close(ours, definition, **EXACT)


@pytest.mark.parametrize("config", LANGUAGE_MODELS, ids=str)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["padded", "packed"])
def test_language_model_has_the_logits_states_and_gradients_of_the_plain_one(
    config: ModelConfig, lengths: Tensor | None
) -> None:
    inside = torch.ones(4, 7, 1) if lengths is None else (torch.arange(7) < LENGTHS[:, None])[:, :, None]
    results = []
    for model in pair("LanguageModel", config):
        model.double()
        before = model(texts()[:, :3])[1]
        logits, states = model(texts(), before, lengths)
        ((logits * inside).square().sum() + sum(state.square().sum() for state in states)).backward()
        results.append([logits * inside, *states, *gradients(model)])
    for ours, definition in zip(results[1], results[0], strict=True):
        torch.testing.assert_close(ours, definition, **EXACT)


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["mlp", *CELLS])
@pytest.mark.parametrize("both", [False, True])
def test_twenty_training_steps_stay_close_to_the_plain_ones(layer: str, both: bool) -> None:
    """In float32, the rows moved by RowWiseAdam against dense Adam."""
    if layer == "mlp" and both:
        pytest.skip("an mlp reads in no direction")
    config = ModelConfig(layer=layer, bidirectional=both, embedding_scale=1.0, **SIZES)
    generator = torch.Generator().manual_seed(2)
    batches = [
        (torch.randint(4, VOCAB, (8, 9), generator=generator), torch.randint(1, 10, (8,), generator=generator))
        for _ in range(20)
    ]
    losses = []
    for model in pair("Classifier", config, 3):
        optimizers = build_optimizers(model, OptimConfig(learning_rate=0.01))
        losses.append([])
        for token_ids, lengths in batches:
            loss = F.cross_entropy(model(token_ids, lengths), token_ids[:, 0] % 3)
            loss.backward()
            clip_gradients(model, 1.0)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
            losses[-1].append(loss.item())
    assert losses[1] == pytest.approx(losses[0], rel=0, abs=1e-4)
    assert losses[0][-1] != pytest.approx(losses[0][0], abs=0.01)  # it moved


@pytest.mark.slow
@pytest.mark.parametrize("config", CLASSIFIERS, ids=str)
def test_padding_neighbors_and_order_change_no_logit(config: ModelConfig) -> None:
    torch.manual_seed(0)
    model = fast.Classifier(config, VOCAB, 3).double().eval()
    logits = model(texts(), LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = model(texts()[row : row + 1, :length], LENGTHS[row : row + 1])[0]
        torch.testing.assert_close(alone, logits[row], **EXACT)
    torch.testing.assert_close(model(F.pad(texts(), (0, 9), value=13), LENGTHS), logits, **EXACT)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(model(texts()[order], LENGTHS[order]), logits[order], **EXACT)


@pytest.mark.slow
@pytest.mark.parametrize("config", CLASSIFIERS, ids=str)
def test_no_uninitialized_memory_is_read(config: ModelConfig) -> None:
    """New memory is often zero, which would hide such a read; here it is NaN."""
    torch.manual_seed(0)
    model = fast.Classifier(config, VOCAB, 3, sparse=False).eval()

    def results() -> list[Tensor]:
        logits = model(texts(), LENGTHS)
        return [logits, *torch.autograd.grad(logits.square().sum(), list(model.parameters()))]

    expected = results()
    torch.use_deterministic_algorithms(True)
    assert torch.utils.deterministic.fill_uninitialized_memory
    try:
        assert torch.empty(3).isnan().all()
        with_nan = results()
    finally:
        torch.use_deterministic_algorithms(False)
    for one, other in zip(with_nan, expected, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("layer", ["mlp", *CELLS])
def test_nan_propagates_through_a_max_pool(layer: str) -> None:
    model = fast.Classifier(ModelConfig(layer=layer, **SIZES), VOCAB, 2).eval()
    with torch.no_grad():
        model.embedding.weight[texts()[0, 3]] = torch.nan
    assert not model(texts(), LENGTHS)[0].isfinite().any()


def test_word_dropout_reads_unknown_in_training_only() -> None:
    torch.manual_seed(0)
    config = ModelConfig(layer="mlp", word_dropout=0.5, embedding_size=4, hidden_size=4)
    token_ids, lengths = torch.arange(4, 44)[None], torch.tensor([40])
    for module in (plain, fast):
        model = module.Classifier(config, 50, 2)
        with torch.no_grad():
            model.embedding.weight[UNKNOWN] = torch.nan  # so that every logit shows whether it was read
        assert model.train()(token_ids, lengths).isnan().all()
        assert not model.eval()(token_ids, lengths).isnan().any()


def test_embedding_dropout_is_one_draw_per_distinct_word() -> None:
    torch.manual_seed(0)
    config = ModelConfig(layer="mlp", embedding_size=50, embedding_dropout=0.5)
    embedding = plain.build_embedding(config, VOCAB, sparse=True)
    embedded = fast.embed_distinct(embedding, torch.full((2, 3), 7), None, config).gather().flatten(0, 1)
    assert (embedded == embedded[0]).all()
    assert 0.2 < (embedded[0] == 0).float().mean() < 0.8


@pytest.mark.parametrize("sparse", [True, False])
def test_embedding_gradient_is_that_of_a_dense_table(sparse: bool) -> None:
    config = ModelConfig(layer="mlp", **SIZES)
    embedding = plain.build_embedding(config, VOCAB, sparse=sparse)
    weight = torch.randn(4, 7, 6)
    (fast.embed_distinct(embedding, texts(), LENGTHS, config).gather() * weight).sum().backward()
    assert embedding.weight.grad.is_sparse == sparse
    table = embedding.weight.detach().clone().requires_grad_()
    (F.embedding(texts(), table) * weight).sum().backward()
    torch.testing.assert_close(embedding.weight.grad.to_dense(), table.grad)


def test_distinct_ids_are_those_of_torch_unique() -> None:
    token_ids = torch.randint(0, 50, (7, 11), generator=torch.Generator().manual_seed(0))
    expected = torch.unique(token_ids, return_inverse=True)
    for ids in (token_ids, token_ids.int()):
        for ours, theirs in zip(distinct_ids(ids, 60), expected, strict=True):
            assert torch.equal(ours, theirs)


def test_packed_order_is_that_of_torch() -> None:
    packing = Packing(LENGTHS, (4, 9), torch.device("cpu"))
    theirs = torch.nn.utils.rnn.pack_padded_sequence(
        torch.arange(36.0).view(4, 9, 1), LENGTHS, batch_first=True, enforce_sorted=False
    )
    assert packing.batch_sizes == theirs.batch_sizes.tolist()
    assert torch.equal(packing.sorted_indices, theirs.sorted_indices)
    assert torch.equal(packing.unsorted_indices, theirs.unsorted_indices)
    assert torch.equal(packing.places, theirs.data[:, 0].long())
    inside = torch.arange(9) < LENGTHS[:, None]
    assert torch.equal(packing.places[packing.inverse][inside], torch.arange(36).view(4, 9)[inside])
    rows = torch.arange(len(packing.places))
    assert torch.equal(packing.reversal[packing.reversal], rows)
    step = packing.places % 9
    assert torch.equal(step[packing.reversal], LENGTHS[packing.places // 9] - 1 - step)
    assert torch.equal(packing.last(packing.places[:, None].double())[:, 0], torch.arange(4.0) * 9 + LENGTHS - 1)
    first = torch.full((4, 1), -1.0)
    before = packing.previous_states(torch.cat([first, packing.places[:, None]]))[:, 0]
    assert torch.equal(before, torch.where(step == 0, -1.0, packing.places - 1))


@pytest.mark.parametrize("numbers", [1, 40, 10_000])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_chunks_cover_every_step_once_from_the_end(
    numbers: int, lengths: Tensor | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "NUMBERS_PER_CHUNK", numbers)
    packing = Packing(lengths, (4, 7), torch.device("cpu"))
    covered = [step for start, stop in packing.chunks(5) for step in reversed(range(start, stop))]
    assert covered == list(reversed(range(7)))


RECURRENCES = {"tanh": (tanh_recurrence, 1, []), "gru": (gru_recurrence, 3, [(5,)])}


def recurrence_inputs(name: str) -> list[Tensor]:
    """Projected rows, the first state, W_hh and more; row 5 is at no place."""
    _, gates, more = RECURRENCES[name]
    generator = torch.Generator().manual_seed(0)
    shapes = [(6, gates * 5), (4, 5), (gates * 5, 5), *more]
    return [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]


def run_recurrence(name: str, inputs: list[Tensor], lengths: Tensor | None = LENGTHS) -> Tensor:
    packing = Packing(lengths, (4, 7), torch.device("cpu"))
    rows = packing.pack(torch.randint(5, (4, 7), generator=torch.Generator().manual_seed(3)))
    return RECURRENCES[name][0](inputs[0], rows, packing, *inputs[1:])


@pytest.mark.slow
@pytest.mark.parametrize("name", RECURRENCES)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "packed"])
@pytest.mark.parametrize("numbers", [1, 150, 10_000])
def test_gradcheck_of_a_recurrence(
    name: str, lengths: Tensor | None, numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "NUMBERS_PER_CHUNK", numbers)
    assert torch.autograd.gradcheck(
        lambda *inputs: run_recurrence(name, list(inputs), lengths), recurrence_inputs(name), fast_mode=True
    )


@pytest.mark.parametrize("name", RECURRENCES)
def test_a_retained_graph_gives_the_same_gradients_again(name: str) -> None:
    inputs = recurrence_inputs(name)
    total = run_recurrence(name, inputs).square().sum()
    first, again = (torch.autograd.grad(total, inputs, retain_graph=True) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", RECURRENCES)
def test_second_derivatives_are_refused(name: str) -> None:
    inputs = recurrence_inputs(name)
    with pytest.raises(NotImplementedError, match="second derivatives"):
        torch.autograd.grad(run_recurrence(name, inputs).square().sum(), inputs, create_graph=True)


def test_gradcheck_of_a_linear_layer_under_a_max_pool() -> None:
    torch.manual_seed(0)
    places = texts()
    members, starts = places[torch.arange(7) < LENGTHS[:, None]], LENGTHS.cumsum(0) - LENGTHS
    shapes = (VOCAB, 5), (6, 5), (6,)
    inputs = [torch.randn(shape, dtype=torch.float64).requires_grad_() for shape in shapes]
    assert torch.autograd.gradcheck(lambda *given: pooling.LinearMax.apply(*given, members, starts), inputs)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_the_fast_elman_layer_is_the_plain_one(lengths: Tensor | None) -> None:
    torch.manual_seed(0)
    ours = Elman(4, 3, 5).double()
    definition = plain.Elman(4, 3, 5).double()
    definition.load_state_dict(ours.state_dict())
    x, state = torch.randn(4, 7, 4, dtype=torch.float64), torch.randn(4, 5, dtype=torch.float64)
    inside = torch.ones(4, 7, 1) if lengths is None else (torch.arange(7) < LENGTHS[:, None])[:, :, None]
    for first in (None, state):
        found, expected = ours(x, first, lengths), definition(x, first, lengths)
        torch.testing.assert_close(found[0] * inside, expected[0] * inside, **EXACT)
        torch.testing.assert_close(found[1], expected[1], **EXACT)


@pytest.mark.parametrize("config", LANGUAGE_MODELS, ids=str)
@pytest.mark.parametrize("module", [plain, fast])
@pytest.mark.parametrize("small_vocabulary", [1, 100])
def test_a_stepper_reads_as_forward_does(
    config: ModelConfig, module: Any, small_vocabulary: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recurrent, "SMALL_VOCABULARY", small_vocabulary)
    model = module.LanguageModel(config, VOCAB).double()
    logits, states = model(texts())
    step = stepper(model)
    _, stepped = model(texts()[:, :1])
    for t in range(1, 7):
        found, stepped = step(texts()[:, t], stepped)
        torch.testing.assert_close(found, logits[:, t], **EXACT)
    torch.testing.assert_close([*stepped], [*states], **EXACT)


@pytest.mark.parametrize("layer", CELLS)
@pytest.mark.parametrize("module", [plain, fast])
def test_reading_in_pieces_with_the_states_carried_is_reading_at_once(layer: str, module: Any) -> None:
    model = module.LanguageModel(ModelConfig(layer=layer, num_layers=2, **SIZES), VOCAB).double()
    states, pieces = (), []
    for piece in texts().split(3, dim=1):
        logits, states = model(piece, states)
        pieces.append(logits)
    torch.testing.assert_close(torch.cat(pieces, dim=1), model(texts())[0], **EXACT)


@pytest.mark.parametrize("module", [plain, fast])
def test_no_logit_depends_on_a_later_token(module: Any) -> None:
    model = module.LanguageModel(ModelConfig(layer="lstm", num_layers=2, **SIZES), VOCAB)
    changed = texts()
    changed[:, 5] = 3
    assert torch.equal(model(texts())[0][:, :5], model(changed)[0][:, :5])


@pytest.mark.parametrize("layer", ["rnn", "gru", "elman"])
def test_bf16_products_stay_close(layer: str) -> None:
    config = ModelConfig(layer=layer, embedding_size=32, hidden_size=32, embedding_dropout=0.0, top_dropout=0.0)
    torch.manual_seed(0)
    model = fast.Classifier(config, VOCAB, 2, sparse=False)
    results = []
    for enabled in (False, True):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            logits = model(texts(), LENGTHS)
        logits.float().square().sum().backward()
        results.append([logits.float(), *gradients(model)])
    for exact, rounded in zip(*results, strict=True):
        torch.testing.assert_close(rounded, exact, rtol=0.1, atol=0.05 * float(exact.detach().abs().max()))
    assert not torch.equal(results[0][0], results[1][0])


def test_matrix_products_have_the_precision_they_are_given() -> None:
    a, b = torch.randn(3, 4), torch.randn(4, 5)
    torch.testing.assert_close(matrix_product(a, b, torch.float32), a @ b)
    base, out = torch.randn(3, 5), torch.empty(3, 5)
    torch.testing.assert_close(add_product(base, a, b, out=out), base + a @ b)
    rounded = add_product(base, a, b.bfloat16(), out=out)
    assert rounded is out
    torch.testing.assert_close(rounded, base + a @ b, rtol=0.05, atol=0.05)


@pytest.mark.skipif(not multiplies_bf16(), reason="this processor has no bf16 products")
def test_bf16_lstm_trains() -> None:
    model = fast.Classifier(ModelConfig(layer="lstm", **SIZES), VOCAB, 2)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(texts(), LENGTHS)
    logits.float().sum().backward()
    assert all(weight.isfinite().all() for weight in gradients(model))


def test_torch_layers_read_what_the_packed_ones_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The path of a GPU, on a CPU: torch's kernels on the padded batch, with states and packed batches."""
    for layer in ("rnn", "gru"):
        config = ModelConfig(layer=layer, num_layers=2, bidirectional=True, **SIZES)
        both = fast.Recurrent(config).double()
        one_way = fast.Recurrent(ModelConfig(layer=layer, num_layers=2, stack="sum", **SIZES)).double()
        x = IndexedRows(torch.randn(28, 6, dtype=torch.float64), torch.arange(28).view(4, 7))
        inside = (torch.arange(7) < LENGTHS[:, None])[:, :, None]
        results = []
        for packs in (True, False):
            monkeypatch.setattr(fast.Recurrent, "_packs", lambda *_, packs=packs: packs)
            outputs, states = one_way.advance(x)
            again, ends = one_way.advance(x, states, LENGTHS)
            results.append([both(x, LENGTHS).gather() * inside, outputs, *states, again * inside, *ends])
        for packed_result, padded_result in zip(*results, strict=True):
            torch.testing.assert_close(packed_result, padded_result, **EXACT)
