"""Batch sampler: exact batch sizes, dependence on (seed, epoch), shares and padding."""

import random
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emosphere_sb.data.sampler import PooledBatchSampler

CHANCE = random.Random(5)
DURATIONS = [CHANCE.expovariate(0.2) + 1.0 for _ in range(203)]


def epoch_of(epoch, durations=DURATIONS, batch_size=16, **options):
    sampler = PooledBatchSampler(durations, batch_size, **options)
    sampler.set_epoch(epoch)
    return list(sampler)


def padding(batches):
    """Return the duration of padding in seconds."""
    longest = (max(DURATIONS[index] for index in batch) * len(batch) for batch in batches)
    return sum(longest) - sum(DURATIONS)


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 70),
    batch_size=st.integers(1, 12),
    pool=st.integers(0, 4),
    processes=st.integers(1, 3),
    epoch=st.integers(0, 5),
)
def test_shares_partition_exact_batches(count, batch_size, pool, processes, epoch):
    durations = DURATIONS[:count]
    shares = [
        epoch_of(epoch, durations, batch_size, pool=pool, process=process, processes=processes)
        for process in range(processes)
    ]
    full = epoch_of(epoch, durations, batch_size, pool=pool)
    # All processes take the same number of steps and together process each effective batch once.
    assert {len(share) for share in shares} == {len(full)}
    for batch, *parts in zip(full, *shares, strict=True):
        assert sorted(chain(*parts)) == sorted(batch)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert sorted(chain(*full)) == list(range(count))
    assert {len(batch) for batch in full[:-1]} <= {batch_size}
    assert len(full[-1]) == count % batch_size or len(full[-1]) == batch_size


@pytest.mark.parametrize("pool", [0, 8])
def test_remainder_is_the_last_batch(pool):
    for epoch in range(20):
        sizes = [len(batch) for batch in epoch_of(epoch, pool=pool)]
        assert sizes == [16] * 12 + [11]


def test_remainder_is_a_random_sample():
    """If taken after sorting, it would always contain the shortest utterances of a pool."""
    means = [sum(DURATIONS[i] for i in epoch_of(epoch)[-1]) / 11 for epoch in range(200)]
    expected = sum(DURATIONS) / len(DURATIONS)
    assert sum(means) / len(means) == pytest.approx(expected, rel=0.1)


def test_length_is_the_number_of_steps():
    for count in (1, 15, 16, 17, 203):
        sampler = PooledBatchSampler(DURATIONS[:count], 16)
        assert len(sampler) == len(list(sampler))


def test_order_is_a_pure_function_of_seed_and_epoch():
    random.seed(1)
    first = epoch_of(3, seed=7)
    random.seed(2)
    sampler = PooledBatchSampler(DURATIONS, 16, seed=7)
    for epoch in (1, 2, 9, 3):  # earlier epochs have no effect
        sampler.set_epoch(epoch)
        found = list(sampler)
    assert found == first == list(sampler)


@pytest.mark.parametrize("process", [0, 1, 2])
def test_resumed_epoch_returns_the_remaining_steps(process):
    options = {"seed": 7, "process": process, "processes": 3}
    sampler = PooledBatchSampler(DURATIONS, 16, **options)
    sampler.set_epoch(3, done=5)
    assert list(sampler) == epoch_of(3, **options)[5:]
    assert len(sampler) == 13  # of the full epoch: a progress bar starts at 5
    sampler.set_epoch(4)
    assert list(sampler) == epoch_of(4, **options)


def test_steps_do_not_depend_on_the_number_of_processes():
    """A run can be resumed with a different number of processes, even within an epoch."""
    for processes in (2, 5, 20):
        shares = [epoch_of(2, process=p, processes=processes) for p in range(processes)]
        steps = [sorted(chain(*parts)) for parts in zip(*shares, strict=True)]
        assert steps == [sorted(batch) for batch in epoch_of(2)]
    assert [] in shares[19]  # a share may be empty


def test_sampling_keeps_the_global_random_state():
    random.seed(1)
    state = random.getstate()
    epoch_of(1)
    assert random.getstate() == state


def test_order_depends_on_the_seed():
    assert epoch_of(1, seed=7) != epoch_of(1, seed=8)


@pytest.mark.parametrize("pool", [0, 1, 8])
def test_groups_differ_between_epochs(pool):
    groups = [{frozenset(batch) for batch in epoch_of(epoch, pool=pool)} for epoch in (1, 2, 3)]
    assert not groups[0] & groups[1] and not groups[1] & groups[2] and not groups[0] & groups[2]


def test_pools_have_far_less_padding_than_a_random_order():
    for epoch in range(5):
        assert padding(epoch_of(epoch)) < 0.5 * padding(epoch_of(epoch, pool=0))


def test_larger_pools_have_less_padding():
    found = [sum(padding(epoch_of(e, pool=pool)) for e in range(5)) for pool in (0, 1, 2, 8)]
    # A pool of one batch has the same groups as the random order.
    assert found[0] == pytest.approx(found[1])
    assert found[1] > found[2] > found[3]


def test_shares_have_similar_lengths():
    shares = [epoch_of(1, process=process, processes=2) for process in range(2)]
    for one, other in zip(*shares, strict=True):
        longest = [max(DURATIONS[index] for index in share) for share in (one, other)]
        within = sorted((DURATIONS[index] for index in one + other), reverse=True)
        assert sorted(longest, reverse=True) == within[:2]


def test_batches_are_not_sorted_by_duration():
    """Sorting within pools must not order the batches of an epoch by duration."""
    longest = [max(DURATIONS[i] for i in batch) for batch in epoch_of(1, pool=100)[:-1]]
    assert longest != sorted(longest) and longest != sorted(longest, reverse=True)


def test_without_pools_durations_have_no_effect():
    plain = epoch_of(2, pool=0)
    assert plain == epoch_of(2, durations=DURATIONS[::-1], pool=0)
    order = list(chain(*plain))
    assert order != list(range(len(DURATIONS))) and sorted(order) == list(range(len(DURATIONS)))


def test_without_pools_positions_are_uniform():
    firsts = [epoch_of(epoch, [1.0] * 4, 4, pool=0)[0][0] for epoch in range(400)]
    assert all(70 < firsts.count(index) < 130 for index in range(4))


@pytest.mark.parametrize(
    "options", [{"batch_size": 0}, {"pool": -1}, {"process": 2, "processes": 2}, {"process": -1}]
)
def test_invalid_arguments_raise(options):
    with pytest.raises(ValueError, match="batch_size"):
        PooledBatchSampler(**{"durations": DURATIONS, "batch_size": 4, **options})


def test_empty_set_raises():
    with pytest.raises(ValueError, match="at least one utterance"):
        PooledBatchSampler([], 4)
