"""The derivations prove what they return, agree with the library's numbers, and refuse what is wrong."""

import math

import pytest
import sympy as sp

from hopfield_theory.bounds import mean_field
from hopfield_theory.statements import derivations
from hopfield_theory.statements.registry import STATEMENTS

DERIVED = {name: s.derivation for name, s in STATEMENTS.items() if s.derivation is not None}


@pytest.mark.parametrize("derivation", DERIVED.values(), ids=DERIVED)
def test_the_identity_holds_at_random_rational_numbers(derivation):
    """Evaluated afresh, without simplification: sums written out for three patterns."""
    identities = derivation()
    for identity in identities if isinstance(identities, list) else [identities]:
        assert isinstance(identity, sp.Eq)
        count = sp.Symbol("M", integer=True, positive=True)
        left, right = (side.subs(count, 3).doit() for side in (identity.lhs, identity.rhs))
        free = sorted((left.free_symbols | right.free_symbols), key=str)
        bases = [symbol for symbol in free if isinstance(symbol, sp.Indexed)]
        plain = [symbol for symbol in free if not isinstance(symbol, sp.Indexed | sp.IndexedBase)]
        values = {symbol: sp.Rational(7 + 3 * k, 11 + k) for k, symbol in enumerate([*bases, *plain])}
        difference = (left - right).subs(values)
        assert abs(sp.N(difference, 30)) < 1e-25
        # and it is no identity of constants
        assert left.free_symbols


@pytest.mark.parametrize(
    ("left", "right"),
    [("x**2 - 1", "(x - 1)*(x + 2)"), ("n/(n + b)", "1/(1 + n/b)"), ("log(1 - x**2)", "log(1 - x)")],
)
def test_a_wrong_identity_is_refused(left, right):
    with pytest.raises(derivations.NotProvedError, match="leaves"):
        derivations._proved(sp.sympify(left), sp.sympify(right))


@pytest.mark.parametrize("lam", [0.5, 1.0, 2.0, 10.0])
def test_the_threshold_is_the_library_s(lam):
    symbol = sp.Symbol("lambda", positive=True)
    exact = float(derivations.threshold().rhs.subs(symbol, sp.Rational(lam)).evalf(30))
    assert math.isclose(exact, float(mean_field.threshold(lam)), rel_tol=1e-14)
