"""What the searches of the bounds find, in digits, so that no change of code moves a bound unseen."""

import math

import pytest

from hopfield_theory.bounds import RandomMemory, chernoff, crowding, directional, finite_size, merging

INF = math.inf
# searches stop at gains of some 1e-6, from where another order of rounding may lead them to another place
DIGITS = 1e-4


# C3, C10 and C7 for all patterns and for a typical one, and C6; where C6 is finite it is C7's for all
@pytest.mark.parametrize(
    ("dim", "kappa", "log_noop", "p", "log_patterns"),
    [
        (8, 16.0, -INF, 0.2, [2.32564, 3.16410, -INF, -INF, 7.26666, 7.26666, INF]),
        (20, 20.0, 0.0, 0.001, [5.33628, 6.65207, 3.57479, 7.78148, 10.47581, 10.47581, INF]),
        (20, 171.0, 0.0, 0.05, [17.88447, 26.60290, 15.78614, 28.24554, 17.96078, 30.03765, 17.96078]),
        (40, 60.0, 30.0, 0.2, [25.15587, 26.75648, 23.46281, 28.80409, 28.47144, 28.47144, INF]),
        (64, 12.0, 2.0, 0.001, [6.36215, 6.63293, 7.43481, 7.65583, 7.96957, 7.96957, INF]),
        (400, 1.8, -1.0, 0.001, [0.0, 0.0, -INF, -INF, 5.91412, 5.91412, INF]),
        (3000, 9.0, 0.0, 0.2, [4.85778, 5.00159, 5.63009, 5.71952, 6.44187, 6.44187, INF]),
    ],
)
def test_the_bounds_in_digits(dim, kappa, log_noop, p, log_patterns):
    memory = RandomMemory(dim, kappa, log_noop)
    searches = (chernoff.chernoff, directional.directional, crowding.ceiling)
    found = [search(memory, p, of) for search in searches for of in ("all", "typical")]
    assert [*found, merging.pair_witness(memory, p).log_patterns] == pytest.approx(log_patterns, abs=DIGITS)


# C7 within a distance of one's choice, where patterns inside of it count
@pytest.mark.parametrize(
    ("dim", "kappa", "log_noop", "error", "log_patterns"),
    [(20, 20.0, 0.0, 0.35, 11.26127), (20, 10.0, 0.0, 0.5, 6.69632), (30, 30.0, 3.0, 0.3, 16.54385)],
)
def test_the_ceiling_of_a_distance_in_digits(dim, kappa, log_noop, error, log_patterns):
    memory = RandomMemory(dim, kappa, log_noop)
    found = crowding.typical_witness(memory, 0.01, error)
    assert any(strip.inside is not None for strip in found.strips)
    assert found.log_patterns == pytest.approx(log_patterns, abs=DIGITS)
    # the search stops where the bound holds: a pattern survives with probability 1 − p at most
    assert -0.2 < crowding.log_typical_survival(memory, found, found.log_patterns) <= math.log1p(-0.01)
    assert crowding.log_typical_survival(memory, found, 0.0) >= 0.0


# the end's log M and overlap, the part across, and the width and the skew of log M about it
@pytest.mark.parametrize(
    ("dim", "kappa", "log_noop", "law"),
    [
        (20, 20.0, 0.0, [10.59016, 0.83621, 0.02956, 0.04031, 0.10828]),
        (64, 12.0, 2.0, [7.91029, 0.88786, 0.00561, 0.03002, 0.11951]),
        (400, 1.8, -1.0, [0.53421, 0.57744, 0.26729, 0.03436, 0.06807]),
        (12, 1.6, -1.0, [0.42347, 0.59651, 0.29529, 0.27609, -0.28885]),
    ],
)
def test_the_law_in_digits(dim, kappa, log_noop, law):
    found = finite_size.law(RandomMemory(dim, kappa, log_noop))
    parts = [found.end.log_patterns, found.end.overlap, found.across, found.width, found.skew]
    assert parts == pytest.approx(law, abs=DIGITS)
