"""Estimates of rare failures: against exact probabilities, against plain counting, and against planted errors."""

import dataclasses
import functools
import itertools
import math
import re

import pytest
import torch
from scipy import optimize, stats

from hopfield_theory.bounds import RandomMemory, sphere
from hopfield_theory.model import batched
from hopfield_theory.statements import events, random_memories, tails
from hopfield_theory.statements.events import dense, slotted
from hopfield_theory.statements.rare_events import ClosePair, QuietCrowd, mean_interval
from hopfield_theory.statements.registry import STATEMENTS
from hopfield_theory.statements.statement import Experiment
from hopfield_theory.statistics import Interval
from hopfield_theory.verification.check import Outcome, check
from hopfield_theory.verification.instances import Draws
from hopfield_theory.verification.render import table

# each end of an interval fails once in a million
CONFIDENCE = 1 - 1e-6
RARE = [
    pytest.param(part, id=f"{statement.name} {part.name}")
    for statement in random_memories.STATEMENTS
    for part in statement.parts
    if re.search("p = 1e-|quiet", part.name)
]


def generator(seed):
    return torch.Generator().manual_seed(seed)


def memories(sampler, trials, seed=0):
    source = generator(seed)
    return torch.stack([sampler.draw(source) for _ in range(trials)])


def uniform(trials, size, dim, seed=1):
    rows = torch.randn(trials, size, dim, dtype=torch.float64, generator=generator(seed))
    return torch.nn.functional.normalize(rows, dim=-1)


def assert_agree(estimated, factor, events):
    """Two intervals for one probability, from importance sampling and from plain draws."""
    plain = mean_interval(events.double(), CONFIDENCE)
    assert plain.low <= factor * estimated.high
    assert factor * estimated.low <= plain.high
    assert 0 < plain.estimate < 1


# --- the interval ---


@pytest.mark.parametrize("chances", [(0.5, 0.5), (0.99, 0.01), (0.02, 0.98), (0.3, 0.4, 0.3), (0.05, 0.15, 0.8)])
@pytest.mark.parametrize("middle", [0.2, 0.5])
def test_either_end_fails_as_seldom_as_it_says(chances, middle):
    """All outcomes of 24 draws of a variable with two or three values, with their exact probabilities."""
    trials, confidence = 24, 0.9
    values = (0.0, 1.0) if len(chances) == 2 else (0.0, middle, 1.0)
    mean = sum(chance * value for chance, value in zip(chances, values, strict=True))
    too_high = too_low = 0.0
    for counts in itertools.product(range(trials + 1), repeat=len(values)):
        if sum(counts) != trials:
            continue
        drawn = [value for value, count in zip(values, counts, strict=True) for _ in range(count)]
        interval = mean_interval(torch.tensor(drawn, dtype=torch.float64), confidence)
        chance = stats.multinomial.pmf(counts, trials, chances)
        too_high += chance * (interval.low > mean)
        too_low += chance * (interval.high < mean)
    assert 0 < max(too_high, too_low) <= 1 - confidence


def test_intervals_where_the_divergence_is_explicit():
    none, all_of_them = (mean_interval(torch.full((50,), value), 0.99) for value in (0.0, 1.0))
    assert (none.low, none.high) == (0.0, pytest.approx(1 - 0.01 ** (1 / 50)))
    assert (all_of_them.low, all_of_them.high) == (pytest.approx(0.01 ** (1 / 50)), 1.0)
    # far below the mean: N (m log(m/μ) - m) for small m and smaller μ
    few = mean_interval(torch.full((100,), 1e-2, dtype=torch.float64), CONFIDENCE)
    assert 1e-2 * math.log(1e-2 / few.low) - 1e-2 == pytest.approx(-math.log1p(-CONFIDENCE) / 100, rel=2e-2)


@pytest.mark.parametrize("values", [[], [0.5, 1.1], [-0.1], [math.nan]])
def test_values_out_of_range_are_refused(values):
    with pytest.raises(ValueError, match=r"numbers in \[0, 1\]"):
        mean_interval(torch.tensor(values), 0.9)


# --- close pairs ---


@pytest.mark.parametrize("dim", [2, 3, 8, 40])
@pytest.mark.parametrize("cap", [1e-9, 1e-3, 1.0])
def test_heights_invert_the_share_of_caps(dim, cap):
    pairs = ClosePair(2, dim, cap)
    for share in (1e-3, 0.3, 0.99):
        expected = math.log(share) + float(sphere.log_cap(cap, dim))
        assert float(sphere.log_cap(pairs._height(share), dim)) == pytest.approx(expected, rel=1e-9)


def test_a_drawn_pair_has_the_height_that_was_drawn():
    pairs = ClosePair(3, 5, 1e-8)
    for seed in range(20):
        patterns = pairs.draw(generator(seed))
        source = generator(seed)
        torch.randn(3, 5, generator=source, dtype=torch.float64)
        height = pairs._height(torch.rand(1, generator=source, dtype=torch.float64).item())
        assert float((patterns[0] - patterns[1]).square().sum()) == pytest.approx(2 * height, rel=1e-6)
        assert patterns.norm(dim=-1).numpy() == pytest.approx([1, 1, 1], abs=1e-15)


@pytest.mark.parametrize("share", [1e-9, 1e-3, 0.03])
@pytest.mark.parametrize("of_first", [False, True])
def test_points_on_a_circle_are_as_close_as_is_known(share, of_first):
    """Of M points on a circle none is within a share s of the circle of another with chance ``(1 - M s)^(M-1)``.

    None is within s of the first on either side with chance ``(1 - 2 s)^(M-1)``. The cap reaches 1.5 times as far.
    """
    size = 7
    pairs = ClosePair(size, 2, 2 * math.sin(1.5 * math.pi * share) ** 2, of_first)
    patterns = memories(pairs, 2000)
    rows = patterns[:, :1] if of_first else patterns
    apart = torch.cdist(rows, patterns, compute_mode="donot_use_mm_for_euclid_dist")
    apart.diagonal(dim1=-2, dim2=-1).fill_(math.inf)
    # chords of 1e-9 carry the rounding of coordinates, relatively 1e-7
    event = (apart < 2 * math.sin(math.pi * share)).any(-1).any(-1)
    found = mean_interval(event / pairs.count(patterns), CONFIDENCE)
    known = -math.expm1((size - 1) * math.log1p(-(2 if of_first else size) * share))
    factor = math.exp(pairs.log_expected)
    assert factor * found.low <= known <= factor * found.high
    assert found.high - found.low < 0.25


@pytest.mark.parametrize("reach", [2.5, 8.0])
def test_failures_are_as_frequent_as_plain_counting_says(reach):
    """About every tenth memory fails; where many pairs are close, their number matters."""
    setting, size = dense(4, 200.0, 0.1), 30
    pairs = ClosePair(size, 4, reach / setting.memory.kappa)

    def lost(patterns):
        return ~batched.storable(patterns, events._ends(patterns, size, setting.memory)[0], 1e-6)

    patterns = memories(pairs, 800)
    counts = pairs.count(patterns)
    assert (counts > 1).any()
    found = mean_interval(lost(patterns) / counts, CONFIDENCE)
    plain = uniform(2000, size, 4)
    close = (batched.distances(plain) ** 2 <= 2 * pairs.cap).any(-1).any(-1)
    assert_agree(found, math.exp(pairs.log_expected), lost(plain) & close)


@pytest.mark.parametrize(("size", "cap"), [(1, 0.1), (3, 0.0), (3, 1.5)])
def test_close_pairs_that_cannot_be_are_refused(size, cap):
    with pytest.raises(ValueError, match="must be"):
        ClosePair(size, 4, cap)


# --- quiet crowds ---


def test_the_pull_of_one_pattern_is_as_quiet_as_is_known():
    """With M = 2 the pull is below A where the height is below or above the two places at which it is A."""
    crowd = QuietCrowd(2, 6, 4.0, 0.05, 0.02)

    def pull(u):
        return (u - 0.05) * math.exp(-4.0 * 0.95 * u) - crowd.most

    peak = 0.05 + 1 / (4.0 * 0.95)
    rims = [optimize.brentq(pull, 0.05, peak), optimize.brentq(pull, peak, 2.0)]
    inner, outer = (math.exp(float(sphere.log_cap(u, 6))) for u in rims)
    found = mean_interval(crowd.weight(memories(crowd, 4000)), CONFIDENCE)
    factor = math.exp(crowd.log_factor)
    assert factor * found.low <= inner + 1 - outer <= factor * found.high
    assert found.high - found.low < 0.1


def test_quiet_crowds_keep_a_pattern_as_often_as_plain_counting_says():
    """Every few hundred memories; the event is that the limit is near and the crowd quiet."""
    memory, size, error = RandomMemory(16, 8.0, -math.inf), 30, 0.02
    crowd = QuietCrowd(size, 16, 8.0, 0.5 * error, 1.2 * error)

    def near(patterns):
        options = {"tol": 1e-10, "max_steps": 1000}
        limits = batched.fixed_points(patterns[:, :1], patterns, memory.kappa, memory.log_noop, **options).state
        return (limits[:, 0] - patterns[:, 0]).norm(dim=-1) <= error

    patterns = memories(crowd, 1000)
    found = mean_interval(near(patterns) * crowd.weight(patterns), CONFIDENCE)
    plain = uniform(8000, size, 16)
    assert_agree(found, math.exp(crowd.log_factor), near(plain) & (crowd.weight(plain) > 0))


def test_a_crowd_louder_than_usual_is_refused():
    with pytest.raises(ValueError, match="below the mean pull"):
        QuietCrowd(100, 8, 6.0, 0.05, 50.0)


# --- bounds on small probabilities ---


def test_the_crowd_alone_fails_less_often_than_is_proved():
    setting, size, cap = dense(8, 30.0, 0.5), 30, 3.0 / 30.0
    bound = math.exp(tails.log_crowd_failure(setting.memory, cap, math.log(size)))
    assert bound < 0.5
    plain = uniform(2000, size, 8)
    lost = ~batched.storable(plain, events._ends(plain, size, setting.memory)[0], 1e-6)
    alone = ~(batched.distances(plain) ** 2 <= 2 * cap).any(-1).any(-1)
    assert mean_interval((lost & alone).double(), CONFIDENCE).high <= bound


def test_the_higher_the_cap_the_less_the_crowd_can_do():
    setting = dense(4, 1e5, 1e-6)
    logs = [tails.log_crowd_failure(setting.memory, reach / 1e5, math.log(7)) for reach in (2.5, 3.0, 4.0)]
    assert logs == sorted(logs, reverse=True)
    assert logs[1] < math.log(1e-9)


@pytest.mark.parametrize("size", [60, 80])
def test_near_fixed_points_are_rarer_than_is_proved(size):
    memory, error = RandomMemory(16, 8.0, -math.inf), 0.02
    bound = math.exp(tails.log_near(memory, error, 0.4, math.log(size)))
    assert 1e-6 < bound < 0.5
    crowd = QuietCrowd(size, 16, 8.0, 0.5 * error, 0.9 * error)
    found = mean_interval(crowd.weight(memories(crowd, 300)), CONFIDENCE)
    assert math.exp(crowd.log_factor) * found.low <= bound


# --- the statements' rare events ---


def contradicted(part, seed=0, trials=None):
    found = part.measure(seed, part.trials[0] if trials is None else trials, CONFIDENCE)
    return found.high < part.probability() if part.at_least else found.low > part.probability()


@pytest.mark.slow
@pytest.mark.parametrize("part", RARE)
def test_true_statements_are_not_contradicted(part):
    assert part.probability() < 1.1e-6
    # an eighth of what the verification does
    assert not contradicted(part, trials=(part.trials[0] + 7) // 8)


def test_one_seed_one_estimate_whatever_the_batch(monkeypatch):
    parts = [
        events.rarely_lost(lambda _: math.log(5.5), dense(4, 1e5, 1e-6), 3.0, (1, 1)),
        events.rarely_near(60, 0.02, RandomMemory(16, 8.0, -math.inf), (1, 1)),
    ]
    found = [[part.measure(seed, 60, CONFIDENCE) for seed in (0, 0, 1)] for part in parts]
    for first, again, other in found:
        assert first == again != other
    monkeypatch.setattr(events, "_BLOCK", 1)
    for part, (first, *_) in zip(parts, found, strict=True):
        # the mean is taken of the same numbers
        assert part.measure(0, 60, CONFIDENCE).estimate == pytest.approx(first.estimate, rel=1e-12)


def times(log_patterns, factor):
    return lambda setting: log_patterns(setting) + math.log(factor)


def near_too_soon(factor, size, error, memory):
    """What C7 proves of a number of patterns, claimed of fewer."""
    fewer, claimed = (events.rarely_near(m, error, memory, (150, 150)) for m in (round(factor * size), size))
    return dataclasses.replace(fewer, probability=functools.cache(claimed.probability))


def other_probability(part, factor):
    return dataclasses.replace(part, probability=lambda: factor * part.probability())


C1, C2, C3 = dense(3, 1e9, 1e-6), dense(3, 3e8, 1e-6), dense(4, 1e5, 1e-6)
MERGED, CROWDED = slotted(6, 1e5, 1e-9, 0.0), slotted(16, 60.0, 1e-6, 0.0)
MISTAKES = {
    "C1 20 times as many": events.rarely_lost(times(random_memories._published, 20), C1, 2.2, (100, 100)),
    "C2 4 times as many": events.rarely_lost(times(random_memories._pairwise, 4), C2, 2.2, (120, 120)),
    "C3 1.4 times as many": events.rarely_lost(times(random_memories._chernoff, 1.4), C3, 2.2, (300, 300)),
    "C3 half of p": other_probability(events.rarely_lost(random_memories._chernoff, C3, 2.2, (150, 150)), 1 / 2),
    "C3 twice as many, crowded": events.rarely_lost(times(random_memories._chernoff, 2), CROWDED, 2.2, (60, 60)),
    "C3 1.7 times as many, typical": events.rarely_off(
        times(random_memories._typical, 1.7), C3, 2.5, (400, 400), random_memories._ball
    ),
    "C3 a third of the ball, typical": events.rarely_off(
        random_memories._typical, C3, 4.0, (600, 600), lambda s: random_memories._ball(s) / 3
    ),
    "C6 0.7 as many": events.rarely_merged(times(random_memories._merging, 0.7), C3, 3.0, (100, 100)),
    "C6 0.7 as many, n = 1": events.rarely_merged(times(random_memories._merging, 0.7), MERGED, 3.0, (150, 150)),
    "C6 twice p": other_probability(events.rarely_merged(random_memories._merging, C3, 3.0, (80, 80)), 2),
    "C7 0.56 as many": near_too_soon(0.56, 95, 0.02, RandomMemory(16, 8.0, -math.inf)),
    "C7 half as many, n = 1": near_too_soon(0.5, 135, 0.04, RandomMemory(16, 8.0)),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_planted_mistakes_are_contradicted(mistake):
    assert contradicted(mistake)


# --- how a check judges them ---


@pytest.mark.parametrize(
    ("low", "high", "at_least", "outcome", "slack"),
    [
        (0.5e-9, 3e-9, False, Outcome.CONSISTENT, 0.5),
        (2.0e-9, 3e-9, False, Outcome.CONTRADICTED, -1.0),
        (0.5e-9, 3e-9, True, Outcome.CONSISTENT, 2.0),
        (0.1e-9, 0.2e-9, True, Outcome.CONTRADICTED, -0.8),
    ],
)
def test_rare_events_are_judged_by_their_interval(low, high, at_least, outcome, slack):
    asked = []

    def estimate(*arguments):
        asked.append(arguments)
        return Interval((low + high) / 2, low, high, arguments[-1])

    part = Experiment("rare", estimate, lambda: 1e-9, at_least, (10, 70))
    statement = dataclasses.replace(STATEMENTS["C1"], parts=(part,))
    for full in (False, True):
        [verdict] = check([statement], Draws(0, 100), 3, full=full)
        assert verdict.outcome == outcome
        assert verdict.instances == (70 if full else 10)
        assert verdict.worst.smallest_slack == pytest.approx(slack)
        assert "1e-09" in verdict.worst.where
    assert asked == [(3, 10, CONFIDENCE), (3, 70, CONFIDENCE)]
    assert table.data([verdict])[0]["parts"][0]["by"] == "experiment"
