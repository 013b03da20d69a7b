"""Every sequence once an epoch, within the budget, padding only behind the ends."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.config import BatchConfig, RunConfig
from elman.errors import DataError
from elman.text.batching import Batches, collate, padding_mask, plan_batches
from elman.text.sequences import Sequences
from elman.text.vocab import PAD

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=80).map(np.array)
CONFIGS = st.builds(
    BatchConfig,
    tokens_per_batch=st.integers(1, 300),
    batch_size=st.none() | st.integers(1, 9),
    length_noise=st.floats(0, 0.9),
    length_multiple=st.integers(1, 17),
)


def made(lengths: np.ndarray) -> Sequences:
    return Sequences.from_lists([list(range(4, 4 + n)) for n in lengths], [0] * len(lengths))


@given(LENGTHS, CONFIGS, st.none() | st.integers(0, 5))
def test_each_sequence_once_and_within_the_budget(lengths: np.ndarray, config: BatchConfig, seed: int | None) -> None:
    generator = None if seed is None else np.random.default_rng(seed)
    plan = plan_batches(lengths, config, generator)
    assert sorted(np.concatenate(plan).tolist()) == list(range(len(lengths)))
    for indices in plan:
        width = -(-lengths[indices].max() // config.length_multiple) * config.length_multiple
        if config.batch_size:
            assert len(indices) <= config.batch_size
        else:
            assert len(indices) == 1 or len(indices) * width <= config.tokens_per_batch


@given(LENGTHS, CONFIGS)
def test_no_batch_could_have_taken_the_next_sequence(lengths: np.ndarray, config: BatchConfig) -> None:
    plan = plan_batches(lengths, config)
    for indices, following in pairwise(plan):
        rows, longest = len(indices) + 1, lengths[following[0]]
        width = -(-longest // config.length_multiple) * config.length_multiple
        assert rows > config.batch_size if config.batch_size else rows * width > config.tokens_per_batch


@given(LENGTHS, CONFIGS)
def test_collated_rows_are_the_sequences_and_padding(lengths: np.ndarray, config: BatchConfig) -> None:
    batches = Batches(made(lengths), config, seed=3)
    plan = batches.epoch(0)
    cells = 0
    for batch in batches.read(plan):
        cells += batch.token_ids.numel()
        assert batch.token_ids.shape[1] % config.length_multiple == 0
        assert (batch.token_ids == PAD).equal(padding_mask(batch.lengths, batch.token_ids.shape[1]))
        for row, length, index in zip(batch.token_ids, batch.lengths, batch.indices, strict=True):
            assert row[:length].tolist() == list(range(4, 4 + lengths[index]))
    assert batches.padding_share(plan) == pytest.approx(1 - lengths.sum() / cells)


def test_an_epoch_follows_from_seed_and_number() -> None:
    lengths = np.arange(1, 200)
    config = BatchConfig(tokens_per_batch=400)

    def plan(seed: int, epoch: int) -> list[list[int]]:
        return [indices.tolist() for indices in Batches(made(lengths), config, seed).epoch(epoch)]

    assert plan(0, 1) == plan(0, 1)
    assert len({str(plan(0, 1)), str(plan(0, 2)), str(plan(1, 1))}) == 3
    assert {tuple(sorted(batch)) for batch in plan(0, 1)} != {tuple(sorted(batch)) for batch in plan(0, 2)}


def test_batches_are_shuffled_and_similar_in_length() -> None:
    lengths = np.arange(1, 1000)
    plan = Batches(made(lengths), BatchConfig(tokens_per_batch=4000), 0).epoch(0)
    means = [lengths[indices].mean() for indices in plan]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.2
    widest = max(np.ptp(lengths[indices]) / lengths[indices].max() for indices in plan if lengths[indices].min() > 100)
    assert widest < 0.2


def test_a_small_vocabulary_reads_rare_words_as_unknown() -> None:
    sequences = Sequences.from_lists([[4, 9, 5]], [1]).with_vocab_size(6)
    assert collate(sequences, np.array([0])).token_ids.equal(torch.tensor([[4, 3, 5]]))


@pytest.mark.parametrize("lists", [[], [[4], []]])
def test_nothing_to_read_is_refused(lists: list[list[int]]) -> None:
    with pytest.raises(DataError, match="nothing to read"):
        Batches(Sequences.from_lists(lists, [0] * len(lists)), BatchConfig(), 0)


@given(LENGTHS, st.integers(1, 5), st.integers(0, 3))
def test_a_curriculum_reads_the_shortest_first_and_then_all(lengths: np.ndarray, growing: int, seed: int) -> None:
    batches = Batches(made(lengths), BatchConfig(curriculum_epochs=growing, tokens_per_batch=100), seed)
    read = [np.sort(np.concatenate(batches.epoch(epoch))) for epoch in range(growing + 2)]
    for epoch, chosen in enumerate(read[:growing]):
        assert len(chosen) == max(1, len(lengths) * (epoch + 1) // (growing + 1))
        left_out = np.setdiff1d(np.arange(len(lengths)), chosen)
        assert lengths[chosen].max() <= lengths[left_out].min(initial=10**9)
    for chosen in read[growing:]:
        assert chosen.tolist() == list(range(len(lengths)))


@given(LENGTHS, st.integers(1, 300), st.none() | st.integers(1, 9))
def test_packed_batches_hold_any_lengths_within_the_budget(lengths: np.ndarray, budget: int, size: int | None) -> None:
    config = BatchConfig(packed=True, tokens_per_batch=budget, batch_size=size)
    plan = plan_batches(lengths, config, np.random.default_rng(0))
    assert np.sort(np.concatenate(plan)).tolist() == list(range(len(lengths)))
    for indices in plan:
        if size is not None:
            assert len(indices) <= size
        else:  # no padding counts, and the first sequence may reach in over the edge
            assert lengths[indices[1:]].sum() < budget


def test_packed_batches_are_not_sorted() -> None:
    lengths = np.arange(1, 401)
    plan = plan_batches(lengths, BatchConfig(packed=True, tokens_per_batch=4_000), np.random.default_rng(0))
    assert all(np.ptp(lengths[indices]) > 200 for indices in plan[:-1])


def test_a_budget_of_truncated_time_counts_the_steps_that_are_read_at_once() -> None:
    plan = plan_batches(np.full(8, 1_000), BatchConfig(tokens_per_batch=200, bptt=50), np.random.default_rng(0))
    assert [len(indices) for indices in plan] == [4, 4]


@given(LENGTHS, st.integers(1, 9), st.integers(0, 5))
def test_unshuffled_an_epoch_goes_from_short_to_long(lengths: np.ndarray, size: int, epoch: int) -> None:
    shuffled, sorted_ = (
        Batches(made(lengths), BatchConfig(batch_size=size, length_noise=0.0, shuffle=shuffle), 0).epoch(epoch)
        for shuffle in (True, False)
    )
    in_order = lengths[np.concatenate(sorted_)]
    assert in_order.tolist() == sorted(lengths.tolist())
    assert sorted(map(sorted, map(list, shuffled))) == sorted(map(sorted, map(list, sorted_)))


@given(st.lists(st.sampled_from([(4,), (5,), (4, 5), (4, 4, 4)]), min_size=1, max_size=60), CONFIGS)
def test_a_shared_batch_counts_what_it_leaves_out(strings: list[tuple[int, ...]], config: BatchConfig) -> None:
    sequences = Sequences.from_lists(strings)
    whole, shared = (Batches(sequences, config, seed=1, share=share) for share in (False, True))
    plan = whole.epoch(0)
    assert all(map(np.array_equal, plan, shared.epoch(0)))
    for batch, distinct in zip(whole.read(plan), shared.read(plan), strict=True):
        assert distinct.tokens == batch.tokens
        assert distinct.token_ids.shape[1] == batch.token_ids.shape[1]
        rows = Counter(map(tuple, batch.token_ids.tolist()))
        assert distinct.counts is not None
        assert dict(zip(map(tuple, distinct.token_ids.tolist()), distinct.counts.tolist(), strict=True)) == rows
    inside = sum(int(batch.lengths.sum()) for batch in shared.read(plan))
    cells = sum(batch.token_ids.numel() for batch in shared.read(plan))
    assert shared.padding_share(plan) == pytest.approx(1 - inside / cells)


@given(LENGTHS, st.integers(1, 12), st.integers(20, 400), st.integers(1, 16))
def test_batches_cut_at_a_multiple_of_rows_hold_every_sequence_once_within_the_budget(
    lengths: np.ndarray, row_multiple: int, budget: int, length_multiple: int
) -> None:
    config = BatchConfig(tokens_per_batch=budget, length_multiple=length_multiple)
    plan = plan_batches(lengths, config, np.random.default_rng(0), row_multiple)
    assert sorted(np.concatenate(plan).tolist()) == list(range(len(lengths)))
    for indices in plan:
        width = -(-int(lengths[indices].max()) // length_multiple) * length_multiple
        assert len(indices) == 1 or len(indices) * width <= budget


def test_a_batch_size_is_kept_with_bf16_products() -> None:
    tables = {"loop": {"precision": "bf16"}, "batches": {"batch_size": 12}}
    batches = Batches.of(RunConfig.from_tables(tables, "test"), made(np.full(24, 5)))
    assert [len(indices) for indices in batches.epoch(0)] == [12, 12]
