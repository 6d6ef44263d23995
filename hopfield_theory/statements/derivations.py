r"""Derivations by computer algebra: T2, T3, T7, T8, T10, T11, T22, T23 and C4.

Each function derives its statement with SymPy and returns the identity that it proved, or raises
:class:`NotProvedError`. Sums over patterns are symbolic in their number M where SymPy can handle them (T2, T7); two
coordinates are enough, since each identity is about one coordinate or one pair.

Examples
--------
>>> gate()
Eq(U/(S + n), U/(S*(1 + n/S)))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import lazy_loader

if TYPE_CHECKING:
    import sympy as sp
else:
    # takes longer to load than all statements
    sp = lazy_loader.load("sympy")

__all__ = [
    "NotProvedError",
    "closeness",
    "decrease",
    "gate",
    "jacobian",
    "key_bias",
    "outliers",
    "sink",
    "threshold",
    "unit_step",
]


class NotProvedError(ArithmeticError):
    """The difference of the two sides of an identity could not be reduced to zero."""


def _proved(left: Any, right: Any) -> sp.Eq:
    """Return the identity if the difference of its sides reduces to zero."""
    difference = sp.simplify(left - right)
    if difference != 0:
        raise NotProvedError(f"{left} = {right} leaves {difference}")
    identity: Any = sp.Eq(left, right, evaluate=False)
    return identity


def _model() -> tuple[Any, list[Any], list[Any], Any, Callable[..., Any]]:
    """Energy up to a constant, update, state, β, and the mean under the weights, for M patterns in two coordinates."""
    count = sp.Symbol("M", integer=True, positive=True)
    index = sp.Symbol("mu", integer=True, positive=True)
    beta, n = sp.symbols("beta n", positive=True)
    state = list(sp.symbols("x_1 x_2", real=True))
    bases: list[Any] = [sp.IndexedBase(f"xi_{i}", real=True) for i in (1, 2)]
    patterns = [base[index] for base in bases]
    exponential = sp.exp(beta * sum(p * x for p, x in zip(patterns, state, strict=True)))
    partition = n + sp.Sum(exponential, (index, 1, count))

    def mean(of: Any) -> Any:
        return sp.Sum(of * exponential, (index, 1, count)) / partition

    energy = sum(x**2 for x in state) / 2 - sp.log(partition) / beta
    return energy, [mean(p) for p in patterns], state, beta, lambda of: mean(of(*patterns))


def unit_step() -> sp.Eq:
    r"""T2: ``∂E/∂x_1 = x_1 − T(x)_1``, for every M, β and n.

    Examples
    --------
    >>> unit_step().rhs.has(sp.Sum)
    True
    """
    energy, update, state, _, _ = _model()
    return _proved(sp.diff(energy, state[0]), state[0] - update[0])


def decrease() -> sp.Eq:
    r"""T3: ``E(x) − E(Tx) = ½‖x − Tx‖² + KL(p(x) ‖ p(Tx))/β``, the no-op slot counted.

    For three patterns in two coordinates, where all entries, weights and log-partition functions ``Ψ(x), Ψ(Tx)`` are
    free symbols. Only ``log p_μ = β⟨ξ_μ, x⟩ − Ψ(x)``, ``log p_0 = log n − Ψ(x)`` and the sum 1 of the weights are used,
    as for any M.

    Examples
    --------
    >>> decrease().lhs.free_symbols >= set(sp.symbols("x_1 x_2", real=True))
    True
    """
    beta, n = sp.symbols("beta n", positive=True)
    x = sp.Matrix(sp.symbols("x_1 x_2", real=True))
    patterns = [sp.Matrix(sp.symbols(f"xi_{mu}1 xi_{mu}2", real=True)) for mu in (1, 2, 3)]
    weights = sp.symbols("p_1:4", positive=True)
    at_x, at_y = sp.symbols("Psi_x Psi_y", real=True)
    y: Any = sum((p * xi for p, xi in zip(weights, patterns, strict=True)), sp.zeros(2, 1))
    divergence = (1 - sum(weights)) * ((sp.log(n) - at_x) - (sp.log(n) - at_y))
    for p, xi in zip(weights, patterns, strict=True):
        divergence += p * ((beta * xi.dot(x) - at_x) - (beta * xi.dot(y) - at_y))
    fall = (x.dot(x) / 2 - at_x / beta) - (y.dot(y) / 2 - at_y / beta)
    return _proved(sp.expand(fall), sp.expand((x - y).dot(x - y) / 2 + divergence / beta))


def jacobian() -> list[sp.Eq]:
    r"""T7: ``∂T_1/∂x_j = β Cov(ξ_1, ξ_j)`` for j = 1 and 2, the no-op slot at zero, for every M, β and n.

    Examples
    --------
    >>> len(jacobian())
    2
    """
    _, update, state, beta, mean = _model()
    return [
        _proved(sp.diff(update[0], state[j]), beta * (mean(lambda *xi, j=j: xi[0] * xi[j]) - update[0] * update[j]))
        for j in (0, 1)
    ]


def gate() -> sp.Eq:
    r"""T8: ``T_n = σ(log S − log n) T_0``, for any ``S = Σ e^z`` and ``U = Σ e^z ξ``.

    Examples
    --------
    >>> gate().lhs
    U/(S + n)
    """
    partition, n = sp.symbols("S n", positive=True)
    total = sp.Symbol("U", real=True)
    sigmoid = 1 / (1 + sp.exp(-(sp.log(partition) - sp.log(n))))
    return _proved(total / (n + partition), sigmoid * total / partition)


def closeness() -> sp.Eq:
    r"""T10: ``‖sT_0 − ξ‖² − ‖T_0 − ξ‖² = (1 − s)(2⟨T_0, ξ⟩ − (1 + s)‖T_0‖²)``.

    For ``0 < s < 1`` its sign is that of the bracket: softmax_n is closer exactly if
    ``⟨T_0, ξ⟩ < ½(1 + s)‖T_0‖²``.

    Examples
    --------
    >>> closeness().rhs.subs(sp.Symbol("s", positive=True), 1)
    0
    """
    s = sp.Symbol("s", positive=True)
    overlap, square, norm = sp.symbols("c t q", real=True)
    difference = (s**2 * square - 2 * s * overlap + norm) - (square - 2 * overlap + norm)
    return _proved(difference, (1 - s) * (2 * overlap - (1 + s) * square))


def outliers() -> sp.Eq:
    r"""T11: the error bounds, classified minus kept, differ by the sign of ``n(S − 2a) − S_out(2S − 2a + n)``.

    Examples
    --------
    >>> sorted(map(str, outliers().free_symbols))
    ['S', 'S_out', 'a', 'm', 'n']
    """
    m, n, partition, a, out = sp.symbols("m n S a S_out", positive=True)
    classified = m * (2 * a + n) / (partition + n)
    kept = (2 * m * a + 2 * m * out) / (partition + out)
    sign = n * (partition - 2 * a) - out * (2 * partition - 2 * a + n)
    return _proved(classified - kept, m * sign / ((partition + n) * (partition + out)))


def sink() -> sp.Eq:
    r"""T22: ``a − p₀a − p_1(a + b)`` is the answer's component along v, if all others have the component a.

    For a first token of score z, and others of total mass S.

    Examples
    --------
    >>> sink().lhs
    (S*a - b*exp(z))/(S + n + exp(z))
    """
    a, b, n, mass = sp.symbols("a b n S", positive=True)
    z = sp.Symbol("z", real=True)
    whole = n + sp.exp(z) + mass
    noop, first = n / whole, sp.exp(z) / whole
    return _proved((mass * a - sp.exp(z) * b) / whole, a - noop * a - first * (a + b))


def key_bias() -> sp.Eq:
    r"""T23: ``e^{z + s}/(n + Σ e^{z + s}) = e^z/(n e^{−s} + Σ e^z)``, for every M.

    Examples
    --------
    >>> key_bias().lhs.free_symbols >= set(sp.symbols("s", real=True).free_symbols)
    True
    """
    n, mass = sp.symbols("n S", positive=True)
    z, s = sp.symbols("z s", real=True)
    return _proved(sp.exp(z + s) / (n + sp.exp(s) * mass), sp.exp(z) / (n * sp.exp(-s) + mass))


def threshold() -> sp.Eq:
    r"""C4: ``α_1(λ) = λ(1 − s) − ½ log(1 − s²)`` is ``λ`` minus the largest value of ``λs + ½ log(1 − s²)`` on (−1, 1).

    The function is concave, and ``s = (√(1 + 4λ²) − 1)/(2λ)`` is where its slope vanishes.

    Examples
    --------
    >>> float(threshold().rhs.subs(sp.Symbol("lambda", positive=True), 1).evalf(6))
    0.62257...
    """
    lam = sp.Symbol("lambda", positive=True)
    s = sp.Symbol("s", real=True)
    value = lam * s + sp.log(1 - s**2) / 2
    # −(1 + s²)/(1 − s²)², negative on all of (−1, 1)
    _proved(sp.diff(value, s, 2), -(1 + s**2) / (1 - s**2) ** 2)
    best = (sp.sqrt(1 + 4 * lam**2) - 1) / (2 * lam)
    _proved(sp.diff(value, s).subs(s, best), sp.Integer(0))
    return _proved(lam - value.subs(s, best), lam * (1 - best) - sp.log(1 - best**2) / 2)
