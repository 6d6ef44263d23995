"""T7, T13 and T15: how fast the update and the weights vary."""

from __future__ import annotations

from functools import partial
from typing import Any

from hopfield_theory.statements import derivations
from hopfield_theory.statements.statement import (
    TWO,
    TWO_IN_BALL,
    Implication,
    Instance,
    Statement,
    has_direction,
)

__all__ = ["STATEMENTS"]


def _is_covariance(i: Instance, dense: bool = False) -> Any:
    # Along a direction the variance changes by β times a third central moment, at most D times the largest variance.
    d, x, v = i.dynamics, i.query, i.other - i.query
    width, length = d.diameter, i.xp.norm(v)
    moved = (d.update(i.other) - d.update(x)) @ v
    remainder = d.beta * d.beta * width * width * width * length * length * length / 8
    variance = (i.dense if dense else d).covariance(x, v)
    return (remainder - i.xp.abs(moved - d.beta * variance)) / d.square(x, i.other)


def _monotone(i: Instance) -> Any:
    d, step = i.dynamics, i.other - i.query
    return (d.update(i.other) - d.update(i.query)) @ step / d.square(i.query, i.other)


def _by_diameter(i: Instance, share: float = 1.0, dense: bool = False) -> Any:
    d, width = i.dynamics, (i.dense if dense else i.dynamics).diameter
    moved = i.xp.norm(d.update(i.other) - d.update(i.query))
    bound = share * d.beta * width * width / 4 * i.xp.norm(i.other - i.query)
    return (bound - moved) / d.length(i.query, i.other)


def _local(i: Instance, others: float = 4.0, slot: float = 1.0) -> Any:
    d, x = i.dynamics, i.query
    bound = d.radius * d.radius * (others * i.xp.sum(d.weights(x)[1:]) + slot * d.noop_weight(x))
    return (bound - d.covariance(x, i.other / i.xp.norm(i.other))) / d.square()


def _residuals(i: Instance, x: Any, y: Any, rate: Any, one_side: bool = False) -> Any:
    d = i.dynamics
    residuals = i.xp.norm(x - d.update(x))
    residuals = residuals if one_side else residuals + i.xp.norm(y - d.update(y))
    return (residuals - (1 - rate) * i.xp.norm(x - y)) / d.length(x, y)


def _largest(i: Instance) -> Any:
    """Return ``βD²/4``."""
    width = i.dynamics.diameter
    return i.beta * width * width / 4


def _posterior(i: Instance, share: float = 1.0, squared: bool = False, one_side: bool = False) -> Any:
    rate = _largest(i)
    return _residuals(i, i.query, i.other, share * (rate * rate if squared else rate), one_side)


def _contracts(i: Instance) -> list[Any]:
    return [1 - _largest(i)]


def _posterior_in_ball(i: Instance) -> Any:
    d = i.dynamics
    return _residuals(i, d.in_ball(i.ball, i.query), d.in_ball(i.ball, i.other), d.lipschitz(i.ball))


def _contracts_in_ball(i: Instance) -> list[Any]:
    d = i.dynamics
    return [i.ball / d.length(), 1 - d.lipschitz(i.ball)]


def _weights(i: Instance, share: float = 0.5) -> Any:
    d = i.dynamics
    scores = i.xp.norm(d.scores(i.other) - d.scores(i.query))
    return (share * scores - i.xp.norm(d.weights(i.other) - d.weights(i.query))) / (1 + scores)


STATEMENTS = (
    Statement(
        name="T7",
        title="Jacobian",
        claim=(
            "J(x) = β Cov of the law with p_μ on ξ_μ and p₀ on 0: symmetric, positive semi-definite, ‖J‖ ≤ βD²/4 "
            "with D the diameter of the patterns (and the origin, if n > 0); below 1 there is one fixed point and T "
            "contracts globally. Locally ‖J(x)‖ ≤ βm²(4 Σ_{ν≠μ} p_ν + p₀)."
        ),
        formula=(
            r"J(x)=\beta\,\mathrm{Cov},\quad \|J\|\le\frac{\beta D^2}{4},\quad \|J(x)\|\le\beta "
            r"m^2\Bigl(4\sum_{\nu\ne\mu}p_\nu+p_0\Bigr)"
        ),
        source="Ramsauer et al. 2021, arXiv:2008.02217, for n = 0, with a larger constant",
        proof="proved here",
        why=(
            "Differentiate softmax_n. A variance along a direction is at most a quarter of the squared range "
            "(Popoviciu), and at most the second moment about ξ_μ: 4m² for the other patterns, m² for the slot at 0."
        ),
        parts=(
            Implication("covariance, up to a third-order remainder", _is_covariance, uses=TWO),
            Implication("positive semi-definite", _monotone, uses=TWO),
            Implication("by the diameter", _by_diameter, uses=TWO),
            Implication("locally", _local, has_direction, uses=TWO),
        ),
        near_misses=(
            Implication("covariance without the origin", partial(_is_covariance, dense=True), uses=TWO),
            Implication("¼ a twentieth smaller", partial(_by_diameter, share=0.95), uses=TWO),
            Implication("diameter without the origin", partial(_by_diameter, dense=True), uses=TWO),
            Implication("4 a twentieth smaller", partial(_local, others=3.8), has_direction, uses=TWO),
            Implication("p₀ a twentieth smaller", partial(_local, slot=0.95), has_direction, uses=TWO),
        ),
        derivation=derivations.jacobian,
        experiment="metastable",
        held_in=("convergence",),
        figure="metastable",
        closed_form="model.memory.Memory.jacobian",
    ),
    Statement(
        name="T13",
        title="A posteriori error",
        claim=(
            "In a ball that holds x and x* and where ‖J‖ ≤ L < 1, ‖x − x*‖ ≤ ‖x − Tx‖/(1 − L). Checked for any two "
            "states, from which it follows with y = x*: (1 − L)‖x − y‖ ≤ ‖x − Tx‖ + ‖y − Ty‖."
        ),
        formula=r"\|x-x^*\|\le\frac{\|x-Tx\|}{1-L}",
        source="Banach's fixed-point theorem",
        proof="proved here",
        why="‖x − x*‖ ≤ ‖x − Tx‖ + ‖Tx − Tx*‖ ≤ ‖x − Tx‖ + L‖x − x*‖.",
        parts=(
            Implication("everywhere, by the diameter", _posterior, _contracts, uses=TWO),
            Implication(
                "in a ball of T12",
                _posterior_in_ball,
                _contracts_in_ball,
                uses=TWO_IN_BALL,
            ),
        ),
        near_misses=(
            Implication("L a twentieth smaller", partial(_posterior, share=0.95), _contracts, uses=TWO),
            Implication("L² for L", partial(_posterior, squared=True), _contracts, uses=TWO),
            Implication("the residual of one state", partial(_posterior, one_side=True), _contracts, uses=TWO),
        ),
        experiment="convergence",
        figure="convergence_descent",
        closed_form="bounds.one_update.posterior_error",
    ),
    Statement(
        name="T15",
        title="Weights are Lipschitz",
        claim="‖softmax_n(z) − softmax_n(z′)‖ ≤ ½‖z − z′‖; with a single pattern, ¼.",
        formula=r"\|\mathrm{softmax}_n(z)-\mathrm{softmax}_n(z')\|\le\tfrac12\|z-z'\|",
        source="a covariance of indicators has norm at most ½",
        proof="proved here",
        why=(
            "The Jacobian of softmax_n is diag(p) − ppᵀ; along v it is a variance of numbers in v, at most ½‖v‖² (¼ "
            "for one pattern and the slot)."
        ),
        parts=(
            Implication("any M", _weights, uses=TWO),
            Implication("M = 1", partial(_weights, share=0.25), uses=TWO, max_patterns=1),
        ),
        near_misses=(
            Implication("½ a twentieth smaller", partial(_weights, share=0.475), uses=TWO),
            Implication("¼ a twentieth smaller at M = 1", partial(_weights, share=0.2375), uses=TWO, max_patterns=1),
            Implication("¼ for any M", partial(_weights, share=0.25), uses=TWO),
        ),
    ),
)
