"""Success is what it is defined to be, intervals come from independent memories, and capacities are found."""

import itertools
import math

import numpy as np
import pytest
import torch

from hopfield_theory.bounds import RandomMemory, finite_size, mean_field
from hopfield_theory.certificates.certify import shared_with
from hopfield_theory.data import ensembles
from hopfield_theory.data.ensembles import RandomPatterns
from hopfield_theory.fused.drawn import DrawnPatterns
from hopfield_theory.measured import capacity as module
from hopfield_theory.measured.capacity import Rule, Setting, _Task, capacity, outcomes, rate
from hopfield_theory.model.memory import Memory
from hopfield_theory.model.retrieval import retrieve


def dense(dim, kappa):
    return RandomMemory(dim, kappa, -math.inf)


def drawn(setting, count, index, seed=5):
    source = RandomPatterns(setting.ensemble, count, setting.memory.dim, seed=seed, cell=(index,), dtype=torch.float64)
    return source.tensor()


@pytest.mark.parametrize(
    ("rule", "log_noop"),
    [
        *((Rule.STORED, log_noop) for log_noop in (-math.inf, 0.0, 9.0)),
        *((rule, log_noop) for rule in (Rule.ONE_UPDATE, Rule.ALL) for log_noop in (-math.inf, 9.0)),
    ],
)
def test_outcomes_are_those_of_single_memories(rule, log_noop):
    setting = Setting(RandomMemory(8, 12.0, log_noop), rule, error=0.4)
    found = outcomes(setting, 60, 8, 5, queries=3)
    assert found.shape == ((8, 1) if rule == Rule.ALL else (8, 3))
    for index in range(8):
        patterns = drawn(setting, 60, index)
        memory = Memory(patterns, 12.0, math.exp(log_noop))
        queries = patterns if rule == Rule.ALL else patterns[:3]
        ends = memory.update(queries) if rule == Rule.ONE_UPDATE else retrieve(memory, queries, 1e-9, 5000).state
        within = (ends - queries).norm(dim=-1) <= 0.4
        apart = torch.cdist(ends, ends).fill_diagonal_(1.0).min() > 1e-5
        expected = [within.all() and apart] if rule == Rule.ALL else within
        assert found[index].tolist() == [bool(x) for x in expected]
    # both happen, where neither the slot nor the crowd decides for all
    assert rule != Rule.STORED or log_noop > 0 or 0 < found.sum() < found.size


def test_what_is_stored_alone_is_what_certificates_call_so():
    kept = shares = 0
    for log_noop in (-math.inf, 0.0):
        setting = Setting(RandomMemory(8, 8.0, log_noop), Rule.ALONE)
        found = outcomes(setting, 40, 6, 5, queries=4)
        near = outcomes(Setting(setting.memory), 40, 6, 5, queries=4)
        for index in range(6):
            memory = Memory(drawn(setting, 40, index), 8.0, math.exp(log_noop))
            ends = retrieve(memory, memory.patterns[:4], 1e-10, 10_000)
            within = (ends.state - memory.patterns[:4]).norm(dim=-1) <= 0.5
            other = shared_with(memory, torch.arange(4), ends)
            shared = (other >= 0) & ((memory.patterns[other] - ends.state).norm(dim=-1) <= 0.5)
            assert near[index].tolist() == within.tolist()
            assert found[index].tolist() == (within & ~shared).tolist()
            shares += int((within & shared).sum())
            kept += int(found[index].sum())
    # both happen
    assert min(shares, kept) > 4


def test_a_certified_pattern_keeps_a_fixed_point_that_another_reaches():
    """The short pattern is no match for the long one beside it, which is stored all the same."""
    setting = Setting(RandomMemory(2, 30.0, -math.inf), Rule.ALONE)
    task = module._Task(setting, 2, 0, 2, torch.float64, "cpu")
    patterns = torch.tensor([[[1.0, 0.0], [0.6, 0.0]]], dtype=torch.float64)
    ends = task._ends(patterns, patterns)
    assert (ends[0, 0] - ends[0, 1]).norm() < 1e-6
    near = (ends - patterns).norm(dim=-1) <= 0.5
    assert near.tolist() == [[True, True]]
    assert task._shared(near, ends, patterns).tolist() == [[False, True]]
    # where n is beyond the floats there is no certificate
    beyond = module._Task(Setting(RandomMemory(2, 30.0, 710.0), Rule.ALONE), 2, 0, 2, torch.float64, "cpu")
    assert beyond._certified(patterns[0], near[0]).tolist() == [False, False]


def test_one_pattern_is_alone():
    assert outcomes(Setting(dense(4, 8.0), Rule.ALONE), 1, 3, 0).all()


def test_noise_is_at_its_distance_and_its_own():
    task = module._Task(Setting(dense(9, 9.0), rule="from noise", noise=0.3), 20, 0, 4, torch.float64, "cpu")
    directions = task._directions(0)
    torch.testing.assert_close(directions.norm(dim=-1), torch.ones(4, dtype=torch.float64))
    assert not torch.allclose(directions, task._directions(1))
    easy, hard = (
        outcomes(Setting(dense(12, 12.0), rule="from noise", noise=noise), 40, 30, 1).mean() for noise in (0.2, 1.3)
    )
    assert easy > 0.9
    assert hard < 0.8
    still = outcomes(Setting(dense(12, 12.0), rule="from noise", noise=0.0), 200, 40, 1)
    assert np.array_equal(still, outcomes(Setting(dense(12, 12.0)), 200, 40, 1))


def test_outcomes_depend_on_the_memory_alone(monkeypatch):
    setting = Setting(dense(10, 8.0))
    whole = outcomes(setting, 40, 30, 2, queries=2)
    assert 0 < whole.sum() < whole.size
    assert np.array_equal(whole[10:], outcomes(setting, 40, 20, 2, first=10, queries=2))
    assert not np.array_equal(whole, outcomes(setting, 40, 30, 3, queries=2))
    monkeypatch.setattr(module, "_BATCH", {"cpu": 1})
    assert np.array_equal(whole, outcomes(setting, 40, 30, 2, queries=2))


@pytest.mark.parametrize("rows", [1, 16, 1000])
def test_streamed_memories_give_what_held_ones_give(monkeypatch, rows):
    # where there are several blocks, most hold no pattern that is queried
    monkeypatch.setattr(ensembles, "_BLOCK_NUMBERS", 10 * rows)
    setting = Setting(dense(10, 8.0))
    held = outcomes(setting, 30, 12, 4)
    once = outcomes(Setting(dense(10, 8.0), rule="one update"), 30, 12, 4)
    alone = outcomes(Setting(dense(10, 8.0), rule="stored alone"), 30, 12, 4, queries=2)
    assert 0 < alone.sum() < outcomes(setting, 30, 12, 4, queries=2).sum()
    monkeypatch.setattr(module, "_HELD", 1)
    assert np.array_equal(held, outcomes(setting, 30, 12, 4))
    assert np.array_equal(once, outcomes(Setting(dense(10, 8.0), rule="one update"), 30, 12, 4))
    assert np.array_equal(alone, outcomes(Setting(dense(10, 8.0), rule="stored alone"), 30, 12, 4, queries=2))


def test_rates_carry_the_interval_that_fits():
    setting = Setting(dense(10, 8.0))
    alone = rate(setting, 45, 60, 0)
    found = outcomes(setting, 45, 60, 0)
    assert alone.estimate == found.mean()
    assert 0 < alone.low < alone.estimate < alone.high < 1
    together = rate(setting, 45, 60, 0, queries=10)
    assert together.estimate == outcomes(setting, 45, 60, 0, queries=10).mean()
    # queries of one memory are not independent, so the interval cannot be that of 600 trials
    assert together.high - together.low < alone.high - alone.low


@pytest.mark.slow
def test_a_planted_capacity_is_found(monkeypatch):
    """Outcomes of a known curve: the interval of the crossing holds the truth, at any level."""
    truth, slope = 4.2, -3.0

    def planted(setting, size, trials, seed, *, first=0):
        uniform = np.random.default_rng([seed, first, size]).random((trials, 1))
        return uniform < 1 / (1 + math.exp(-slope * (math.log(size) - truth)))

    monkeypatch.setattr(module, "outcomes", planted)
    held = 0
    for seed in range(6):
        found = capacity(Setting(dense(8, 8.0)), seed, precision=0.1)
        held += found.log_patterns.low <= truth <= found.log_patterns.high
        assert found.log_patterns.high - found.log_patterns.low <= 2 * 0.2
        assert abs(found.log_patterns.estimate - truth) < 0.3
    # at 95% each, fewer than 4 of 6 come twice in a thousand
    assert held >= 4
    high = capacity(Setting(dense(8, 8.0)), 0, level=0.9, precision=0.1)
    assert abs(high.log_patterns.estimate - (truth - math.log(9) / 3)) < 0.3


def test_memories_of_a_search_are_used_once(monkeypatch):
    ranges = []

    def recorded(setting, size, trials, seed, *, first=0):
        ranges.append((first, first + trials))
        return np.random.default_rng(first).random((trials, 1)) < (0.9 if size < 50 else 0.1)

    monkeypatch.setattr(module, "outcomes", recorded)
    found = capacity(Setting(dense(8, 8.0)), 0)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(ranges))
    assert sum(found.trials) == ranges[-1][1]


def test_where_nothing_is_retrieved_and_where_everything_is(monkeypatch):
    """A no-op slot of more weight than any pattern; and an end to the sizes that are tried."""
    nothing = capacity(Setting(RandomMemory(8, 8.0, 20.0)), 0)
    assert nothing.log_patterns.estimate == -math.inf
    assert sum(nothing.successes) == 0
    monkeypatch.setattr(module, "outcomes", lambda setting, size, trials, seed, first=0: np.ones((trials, 1), bool))
    for dim in (8, 64):
        # the search begins below the end, or at it
        everything = capacity(Setting(dense(dim, float(dim))), 0, most_patterns=100.0)
        assert everything.log_patterns.high == math.inf
        assert max(everything.num_patterns) == 100


def test_the_search_begins_where_the_law_predicts_the_end(monkeypatch):
    sizes = []

    def half(setting, size, trials, seed, first=0):
        sizes.append(size)
        return np.arange(trials)[:, None] < trials * (size < 100)

    monkeypatch.setattr(module, "outcomes", half)

    def first(memory, rule=Rule.STORED):
        sizes.clear()
        capacity(Setting(memory, rule), 0)
        return sizes[0]

    for memory in (dense(16, 16.0), dense(12, 6.0)):
        assert first(memory) == round(math.exp(finite_size.law(memory).log_patterns))
    # no law, and a curve that is infinite: a share of the random-energy limit
    assert first(dense(10, 20.0)) == first(dense(10, 20.0), Rule.ONE_UPDATE) > 100


@pytest.mark.slow
def test_the_measured_capacity_is_near_the_mean_field_fold():
    found = capacity(Setting(dense(14, 14.0)), 0, precision=0.1)
    assert found.log_patterns.estimate == pytest.approx(mean_field.predicted(dense(14, 14.0)), rel=0.03)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"error": 0.0}, "error is 0"),
        ({"noise": -1.0}, "noise is -1"),
        ({"rule": "luck"}, "luck"),
    ],
)
def test_settings_refuse_what_they_must(arguments, message):
    with pytest.raises(ValueError, match=message):
        Setting(dense(8, 8.0), **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_patterns": 0}, "num_patterns is 0"),
        ({"memories": 0}, "memories is 0"),
        ({"queries": 0}, "queries is 0"),
        ({"queries": 11}, "queries is 11: it must be at most num_patterns, 10"),
    ],
)
def test_outcomes_refuse_what_they_must(arguments, message):
    with pytest.raises(ValueError, match=message):
        outcomes(Setting(dense(8, 8.0)), **{"num_patterns": 10, "memories": 2, "seed": 0, **arguments})


def test_queries_that_share_memories_are_as_many_trials():
    setting = Setting(RandomMemory(10, 10.0))
    alone, together = (capacity(setting, seed=3, precision=0.2, shared=shared) for shared in (1, 8))
    assert sum(together.trials) > 0
    # both hold the same crossing, each in its interval of 95%
    gap = abs(alone.log_patterns.estimate - together.log_patterns.estimate)
    assert gap < 2 * (alone.log_patterns.high - alone.log_patterns.low)


def test_a_gpu_draws_large_memories_where_it_uses_them():
    held, far = (
        _Task(Setting(RandomMemory(30, 30.0)), count, 0, 1, torch.float32, "cuda")._source(0)
        for count in (10**6, 10**8)
    )
    assert isinstance(held, RandomPatterns)
    assert isinstance(far, DrawnPatterns)
    # in float64, which the kernel is not, blocks are drawn
    assert isinstance(
        _Task(Setting(RandomMemory(30, 30.0)), 10**8, 0, 1, torch.float64, "cuda")._source(0), RandomPatterns
    )
