import math
import re

import pytest
import torch
from scipy import stats

from hopfield_theory import Memory, retrieve
from hopfield_theory.bounds import merging, one_update, sphere, union
from hopfield_theory.data.seeds import keyed_generator
from hopfield_theory.model import batched
from hopfield_theory.statements import events, random_memories, trends
from hopfield_theory.statements.events import dense, slotted
from hopfield_theory.statements.statement import Experiment, Kind, Trend

EXPERIMENTS = [
    pytest.param(part, id=f"{statement.name} {part.name}")
    for statement in random_memories.STATEMENTS
    for part in statement.parts
    if isinstance(part, Experiment) and not re.search("p = 1e-|quiet", part.name)
]
TRENDS = [
    pytest.param(part, id=part.name)
    for statement in random_memories.STATEMENTS
    for part in statement.parts
    if isinstance(part, Trend)
]


def counted(experiment, seed, trials):
    return experiment.measure(seed, trials, 0.9)


def contradicted(experiment, seed=0, trials=None):
    """One-sided exact test of Clopper and Pearson, at a level of one in a million."""
    trials = experiment.trials[0] if trials is None else trials
    count, claimed = counted(experiment, seed, trials), experiment.probability()
    if experiment.at_least:
        return count < trials and stats.beta.ppf(1 - 1e-6, count + 1, trials - count) < claimed
    return count > 0 and stats.beta.ppf(1e-6, count, trials - count + 1) > claimed


def raised(log_patterns, factor):
    return lambda setting: log_patterns(setting) + math.log(factor)


def test_ten_statements_with_parts_of_their_kind():
    assert [statement.name for statement in random_memories.STATEMENTS] == [f"C{i}" for i in (*range(1, 8), 9, 10, 11)]
    for statement in random_memories.STATEMENTS:
        kind = Trend if statement.kind is Kind.ASYMPTOTIC else Experiment
        assert statement.parts
        assert all(isinstance(part, kind) for part in statement.parts)
        assert not statement.is_false


def test_names_of_experiments_tell_their_streams_apart():
    for statement in random_memories.STATEMENTS:
        names = [part.name for part in statement.parts]
        assert len(set(names)) == len(names)


@pytest.mark.slow
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_true_statements_are_not_contradicted(experiment):
    # an eighth of what the verification does
    assert not contradicted(experiment, trials=(experiment.trials[0] + 7) // 8)


@pytest.mark.slow
@pytest.mark.parametrize("trend", TRENDS)
def test_trends_hold(trend):
    assert trend.slack() >= 0


# --- a seed determines a count ---


@pytest.fixture(scope="module")
def contested():
    """Experiments whose counts lie well between none and all."""
    crowded = dense(4, 200.0, 0.1)
    return [
        events.two_merge(lambda _: math.log(45.5), crowded, (60, 60)),
        events.all_stored(lambda _: math.log(45.5), crowded, (60, 60)),
        events.typical_stored(lambda _: math.log(16.5), slotted(5, 10.0, 0.1, 0.0), (60, 60), 0.15),
    ]


def test_one_seed_one_count(contested):
    for experiment in contested:
        counts = [counted(experiment, seed, 30) for seed in (0, 0, 1, 2)]
        assert counts[0] == counts[1]
        assert len(set(counts)) > 1
        assert 0 < counts[0] < 30


def test_counts_do_not_depend_on_the_batch(contested, monkeypatch):
    counts = [counted(experiment, 3, 30) for experiment in contested]
    for block in (1, 1 << 14):
        monkeypatch.setattr(events, "_BLOCK", block)
        assert [counted(experiment, 3, 30) for experiment in contested] == counts


def test_counts_do_not_depend_on_when_queries_part(contested, monkeypatch):
    counts = [counted(experiment, 3, 30) for experiment in contested]
    monkeypatch.setattr(batched, "_TOGETHER", 3)
    assert [counted(experiment, 3, 30) for experiment in contested] == counts


# --- against the library's own retrieval ---


@pytest.mark.parametrize("log_noop", [-math.inf, 15.0])
def test_counts_agree_with_retrieval_of_every_pattern(log_noop):
    size, trials = 9, 10
    setting = slotted(4, 20.0, 0.1, log_noop)
    experiments = [
        events.two_merge(lambda _: math.log(size) - 1e-9, setting, (trials, trials)),
        events.all_stored(lambda _: math.log(size) + 1e-9, setting, (trials, trials)),
        events.typical_stored(lambda _: math.log(size) + 1e-9, setting, (trials, trials), 0.1),
        events.typical_lost(lambda _: math.log(size) - 1e-9, setting, (trials, trials), 0.1),
    ]
    expected = [two_coincide, fit_into_disjoint_balls, first_near, first_near]
    for experiment, event in zip(experiments, expected, strict=True):
        generator = keyed_generator(6, experiment.name)
        happened = 0
        for _ in range(trials):
            drawn = torch.randn(size, 4, generator=generator, dtype=torch.float64)
            patterns = drawn / drawn.norm(dim=1, keepdim=True)
            memory = Memory(patterns, beta=20.0, noop=math.exp(log_noop))
            limits = retrieve(memory, patterns, tol=1e-10, max_steps=1000).state
            happened += event(patterns, limits, size)
        assert counted(experiment, 6, trials) == happened
        assert 0 < happened < trials


def pairs(size):
    return [(i, j) for i in range(size) for j in range(i)]


def two_coincide(_, limits, size):
    return any((limits[i] - limits[j]).norm().item() <= 1e-6 for i, j in pairs(size))


def fit_into_disjoint_balls(patterns, limits, size):
    errors = (limits - patterns).norm(dim=1)
    fit = all((patterns[i] - patterns[j]).norm() > errors[i] + errors[j] - 1e-6 for i, j in pairs(size))
    return fit and not two_coincide(patterns, limits, size)


def first_near(patterns, limits, _):
    return (limits[0] - patterns[0]).norm().item() <= 0.1


# --- planted mistakes ---

CROWDED = dense(4, 200.0, 0.1)
TYPICAL = dense(12, 12.0, 0.5)
CROWD = slotted(40, 12.0, 0.1, 0.0)
FOLD = dense(20, 10.0, 0.5)
LAW = dense(16, 8.0, 0.5)


def published_without_quarter(setting):
    log_base = union.published_base(setting.memory, setting.failure_probability)
    return 0.5 * math.log(setting.failure_probability) + (setting.memory.dim - 1) * log_base


def well_separated_without_quarter(setting):
    log_p = math.log(setting.failure_probability)
    return 0.5 * log_p + 4 * (random_memories._well_separated(setting) - 0.5 * log_p)


def pairs_at_a_tenth_of_the_gap(setting):
    gap = one_update.least_gap(log_patterns=math.log(2), beta=setting.memory.kappa, noop=0.0)
    return 0.5 * (math.log(2 * setting.failure_probability) - float(sphere.log_cap(gap / 10, setting.memory.dim)))


def merging_below_ten_times_the_height(setting):
    height = merging.pair_witness(setting.memory, setting.failure_probability).height
    return 0.5 * (math.log(2 * setting.failure_probability) - float(sphere.log_cap(10 * height, setting.memory.dim)))


def thrice_the_shift(setting):
    return 3 * random_memories._law(setting)[0] - 2 * random_memories._mean_field(setting)


MISTAKES = {
    "C1 exponent d − 1": events.all_stored(published_without_quarter, dense(3, 600.0, 0.5), (30, 30)),
    "C1 below κ = 1": events.all_stored(random_memories._published, dense(2, 1e-6, 0.5), (30, 30)),
    "C11 exponent d − 1": events.all_stored(well_separated_without_quarter, dense(3, 600.0, 0.5), (30, 30)),
    "C2 a tenth of the gap": events.all_stored(pairs_at_a_tenth_of_the_gap, CROWDED, (150, 150)),
    "C2 ten times as many": events.all_stored(raised(random_memories._pairwise, 10), CROWDED, (50, 50)),
    "C3 ten times as many": events.all_stored(raised(random_memories._chernoff, 10), CROWDED, (12, 12)),
    "C3 a twentieth of the ball": events.typical_stored(
        random_memories._typical, TYPICAL, (60, 60), lambda s: 0.05 * random_memories._ball(s)
    ),
    "C3 ten times as many, typical": events.typical_stored(
        raised(random_memories._typical, 10), TYPICAL, (60, 60), random_memories._ball
    ),
    "C10 ten times as many, typical": events.typical_stored(
        raised(random_memories._directional_typical, 10), CROWD, (20, 20), random_memories._directional_ball
    ),
    "C10 a tenth of the ball": events.typical_stored(
        random_memories._directional_typical, CROWD, (20, 20), lambda s: 0.1 * random_memories._directional_ball(s)
    ),
    "C5 twice the fold": random_memories._short_of_fold(raised(random_memories._mean_field, 2), FOLD, (60, 60)),
    "C5 half the fold": random_memories._past_fold(raised(random_memories._mean_field, 0.5), FOLD, (60, 60)),
    # C5 is two widths from the law
    "C9 without its shifts": random_memories._beside_law(random_memories._mean_field, dense(12, 12.0, 0.5), (150, 150))[
        0
    ],
    "C9 with thrice its shifts": random_memories._beside_law(thrice_the_shift, LAW, (250, 250))[1],
    "C6 ten times the height": events.two_merge(merging_below_ten_times_the_height, CROWDED, (400, 400)),
    "C6 a fifth as many": events.two_merge(raised(random_memories._merging, 1 / 5), CROWDED, (400, 400)),
    "C7 a fifth as many": events.typical_lost(raised(random_memories._crowding(0.1), 1 / 5), TYPICAL, (200, 200), 0.1),
    "C7 a thirtieth as many, within m/2": events.typical_lost(
        raised(random_memories._crowding(0.5), 1 / 30), dense(12, 6.0, 0.5), (100, 100), 0.5
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_planted_mistakes_are_contradicted(mistake):
    assert contradicted(mistake)


def halved_entropy(lam):
    s = trends.overlap(lam)
    return lam * (1 - s) - 0.25 * math.log1p(-s * s)


def flipped_entropy(lam):
    s = trends.overlap(lam)
    return lam * (1 - s) + 0.5 * math.log1p(-s * s)


def a_percent_more(lam):
    return 1.01 * trends.threshold(lam)


@pytest.mark.parametrize("threshold", [halved_entropy, flipped_entropy, a_percent_more])
def test_wrong_exponents_are_contradicted(threshold):
    assert trends.optimised(threshold) < 0
    assert trends.follows_exponential_moment(threshold, 1.0) < 0
    assert trends.extrapolates(random_memories._typical, threshold, 1.0) < 0
    bounds = (random_memories._typical, random_memories._crowding_in_ball)
    assert any(trends.closes_in(log_m, threshold, 1.0) < 0 for log_m in bounds)


def test_bounds_of_another_order_are_contradicted():
    assert trends.closes_in(random_memories._pairwise, trends.threshold, 1.0) < 0
    assert trends.extrapolates(random_memories._pairwise, trends.threshold, 1.0) < 0


def test_no_op_mass_that_matters_is_noticed():
    assert trends.unmoved(random_memories._crowding_in_ball, 1.0, 1.1) < 0
    assert trends.silenced(random_memories._crowding_in_ball, 1.0, 0.5) < 0
