"""How many random patterns are stored, by direction: the crowd pulls along a pattern, hardly across it (C10)."""

import math
from dataclasses import replace
from functools import lru_cache

from hopfield_theory import _arguments
from hopfield_theory.bounds import _quadrature
from hopfield_theory.bounds._directional_proof import Case, Cell, Failure, Side, Stage, Witness
from hopfield_theory.bounds._directional_search import plain_witness
from hopfield_theory.bounds._shell_search import with_shells
from hopfield_theory.bounds.chernoff import QUANTIFIERS
from hopfield_theory.bounds.random_memory import RandomMemory

__all__ = ["Case", "Cell", "Side", "Stage", "Witness", "directional", "directional_witness", "log_failure"]


def directional(memory: RandomMemory, failure_probability: float, quantifier: str = "all") -> float:
    """Logarithm of a number of random patterns that are stored with probability ``1 - p`` (C10, proved here).

    Stored means what it means for ``hopfield_theory.bounds.chernoff.chernoff``. Where many patterns make up the crowd,
    that is in high dimension or for a typical pattern, this bound is the larger one of the two.

    Parameters
    ----------
    memory : RandomMemory
    failure_probability : float, in (0, 1)
        p.
    quantifier : {"all", "typical"}
        Whether p bounds the probability that any pattern, or that one given pattern, is not stored.

    Returns
    -------
    float
        log M, ``-inf`` if nothing is found.

    Raises
    ------
    ValueError
        If an argument is out of range, or d is above 100 000, where rounding may exceed the margin of the proof.

    Examples
    --------
    >>> one_stored = directional(RandomMemory.of(dim=75, beta=1.0, scale=1.0), 1e-3, "typical")
    >>> 4.1e18 < math.exp(one_stored) < 4.2e18
    True
    """
    witness = directional_witness(memory, failure_probability, quantifier)
    return -math.inf if witness is None else witness.log_patterns


@lru_cache(maxsize=256)
def directional_witness(memory: RandomMemory, failure_probability: float, quantifier: str = "all") -> Witness | None:
    """Return the parameters with which C10 proves the capacity that ``directional`` returns, None if it finds none.

    Write states as ``(1 - a) ξ + v`` and patterns as ``(1 - u) ξ + τ``, v and τ across the pattern ξ. In units of m,
    an update moves a state to ``a' = Σ p u + p_0`` and ``v' = Σ p τ``, and the weights relative to that of ξ are
    ``r = exp(-κ u (1 - a) + κ <τ, v>)``. So ``a' <= z`` exactly if ``Σ (u - z) r + (1 - z) r_0 <= z``. By
    ``exp(s) <= 1 + s + s² φ₂(|s|)``, in a cylinder ``a <= y, |v| <= b``, with ``h = exp(-κ u (1 - y))``,
    ``Σ c r <= Σ c h + κ b |Σ c h τ| + κ² b² λ(Σ c h φ₂(κ b |τ|) τ τᵀ)``. The first sum has a Chernoff bound, the second
    one by isotropy, and the largest eigenvalue λ a matrix Chernoff bound; the part across is bounded so too. Thin
    cylinders cover the ball around ξ; its image is in a cylinder, and so on to one that lies within the ball and is
    contracted.

    For a typical pattern the nearest neighbour is treated by shells of heights, as in C3, where that proves more: the
    sums over the others are about an axis near the state of the two alone, about which uniform patterns have the same
    law. For all patterns together, which close pairs limit where shells would help, C3 proves more.

    Parameters are the same as for ``directional``.

    Examples
    --------
    >>> memory = RandomMemory.of(dim=75, beta=1.0, scale=1.0)
    >>> witness = directional_witness(memory, 1e-3, "typical")
    >>> log_failure(memory, witness, witness.log_patterns, "typical") <= math.log(1e-3)
    True
    """
    _arguments.instance("memory", memory, RandomMemory)
    log_p = math.log(_arguments.probability("failure_probability", failure_probability))
    _arguments.one_of("quantifier", quantifier, QUANTIFIERS)
    _quadrature.check_dim(memory.dim)
    # Below κ = 1 the update contracts the whole space: there is nothing to find.
    if memory.kappa < 1.0:
        return None
    found = plain_witness(memory, log_p, quantifier)
    if found is None:
        return None
    failure = Failure(memory, found, quantifier)
    if failure(0.0) > log_p:
        return None
    most = _quadrature.last_below(failure, log_p, 0.0, memory.kappa + 50.0)
    found = replace(found, log_patterns=most)
    return with_shells(memory, found, log_p) if quantifier == "typical" else found


def log_failure(memory: RandomMemory, witness: Witness, log_patterns: float, quantifier: str) -> float:
    """Logarithm of the C10 bound on the probability of failure of ``exp(log_patterns)`` patterns, for given parameters.

    Parameters
    ----------
    memory : RandomMemory
    witness : Witness
        Sets, limits and tilts; its ``log_patterns`` is not used.
    log_patterns : float
        log M.
    quantifier : {"all", "typical"}
        Any pattern, or a given one.

    Returns
    -------
    float
        At 0 or above the bound is void, as where the limits do not imply that a pattern is stored.

    Examples
    --------
    >>> memory = RandomMemory.of(dim=75, beta=1.0, scale=1.0)
    >>> witness = directional_witness(memory, 1e-3, "typical")
    >>> wide = replace(witness, lone=replace(witness.lone, ball=2.0 * witness.ball))
    >>> log_failure(memory, wide, witness.log_patterns, "typical") >= 0.0
    True
    """
    _arguments.instance("memory", memory, RandomMemory)
    _arguments.instance("witness", witness, Witness)
    _arguments.real("log_patterns", log_patterns, 0.0)
    return Failure(memory, witness, quantifier)(log_patterns)
