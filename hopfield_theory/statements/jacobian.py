"""Statements T7, T13 and T15: how fast the update and the weights vary."""

from __future__ import annotations

from typing import Any

from hopfield_theory.statements.statement import Implication, Instance, Kind, Statement

__all__ = ["STATEMENTS"]

_TWO = ("patterns", "beta", "noop", "query", "other")


def _is_covariance(i: Instance) -> Any:
    # Along a direction the variance changes by β times a third central moment, at most D times the largest variance.
    d, x, v = i.dynamics, i.query, i.other - i.query
    width, length = d.diameter, i.xp.norm(v)
    moved = (d.update(i.other) - d.update(x)) @ v
    remainder = d.beta * d.beta * width * width * width * length * length * length / 8
    return (remainder - i.xp.abs(moved - d.beta * d.covariance(x, v))) / d.square(x, i.other)


def _monotone(i: Instance) -> Any:
    d, step = i.dynamics, i.other - i.query
    return (d.update(i.other) - d.update(i.query)) @ step / d.square(i.query, i.other)


def _by_diameter(i: Instance) -> Any:
    d = i.dynamics
    moved = i.xp.norm(d.update(i.other) - d.update(i.query))
    bound = d.beta * d.diameter * d.diameter / 4 * i.xp.norm(i.other - i.query)
    return (bound - moved) / d.length(i.query, i.other)


def _local(i: Instance) -> Any:
    d, x = i.dynamics, i.query
    elsewhere = i.xp.sum(d.weights(x)[1:])
    bound = d.radius * d.radius * (4 * elsewhere + d.noop_weight(x))
    along = i.other / i.xp.norm(i.other)
    return (bound - d.covariance(x, along)) / d.square()


def _is_direction(i: Instance) -> list[Any]:
    return [i.xp.norm(i.other)]


def _residuals(i: Instance, x: Any, y: Any, rate: Any) -> Any:
    d = i.dynamics
    residuals = i.xp.norm(x - d.update(x)) + i.xp.norm(y - d.update(y))
    return (residuals - (1 - rate) * i.xp.norm(x - y)) / d.length(x, y)


def _posterior(i: Instance) -> Any:
    width = i.dynamics.diameter
    return _residuals(i, i.query, i.other, i.beta * width * width / 4)


def _contracts(i: Instance) -> list[Any]:
    width = i.dynamics.diameter
    return [1 - i.beta * width * width / 4]


def _posterior_in_ball(i: Instance) -> Any:
    d = i.dynamics
    return _residuals(i, d.in_ball(i.ball, i.query), d.in_ball(i.ball, i.other), d.lipschitz(i.ball))


def _contracts_in_ball(i: Instance) -> list[Any]:
    d = i.dynamics
    return [i.ball / d.length(), 1 - d.lipschitz(i.ball)]


def _weights_move(i: Instance) -> tuple[Any, Any, Any]:
    d = i.dynamics
    scores = i.xp.norm(d.scores(i.other) - d.scores(i.query))
    return i.xp.norm(d.weights(i.other) - d.weights(i.query)), scores, 1 + scores


def _weights(i: Instance) -> Any:
    moved, scores, scale = _weights_move(i)
    return (scores / 2 - moved) / scale


def _single_weight(i: Instance) -> Any:
    moved, scores, scale = _weights_move(i)
    return (scores / 4 - moved) / scale


STATEMENTS = (
    Statement(
        "T7",
        "Jacobian",
        "J(x) = β Cov of the law with p_μ on ξ_μ and p₀ on 0: symmetric, positive semi-definite, ‖J‖ ≤ βD²/4 with D "
        "the diameter of the patterns (and the origin, if n > 0); below 1 there is one fixed point and T contracts "
        "globally. Locally ‖J(x)‖ ≤ βm²(4 Σ_{ν≠μ} p_ν + p₀).",
        "Ramsauer et al. 2021, arXiv:2008.02217, for n = 0, with a larger constant",
        "proved here",
        Kind.POINTWISE,
        (
            Implication("covariance, up to a third-order remainder", _is_covariance, uses=_TWO),
            Implication("positive semi-definite", _monotone, uses=_TWO),
            Implication("by the diameter", _by_diameter, uses=_TWO),
            Implication("locally", _local, _is_direction, uses=_TWO),
        ),
    ),
    Statement(
        "T13",
        "A posteriori error",
        "In a ball that holds x and x* and where ‖J‖ ≤ L < 1, ‖x − x*‖ ≤ ‖x − Tx‖/(1 − L). Checked for any "
        "two states, from which it follows with y = x*: (1 − L)‖x − y‖ ≤ ‖x − Tx‖ + ‖y − Ty‖.",
        "Banach's fixed-point theorem",
        "proved here",
        Kind.POINTWISE,
        (
            Implication("everywhere, by the diameter", _posterior, _contracts, uses=_TWO),
            Implication(
                "in a ball of T12",
                _posterior_in_ball,
                _contracts_in_ball,
                uses=("patterns", "beta", "noop", "query", "other", "ball"),
            ),
        ),
    ),
    Statement(
        "T15",
        "Weights are Lipschitz",
        "‖softmax_n(z) − softmax_n(z′)‖ ≤ ½‖z − z′‖; with a single pattern, ¼.",
        "a covariance of indicators has norm at most ½",
        "proved here",
        Kind.POINTWISE,
        (
            Implication("any M", _weights, uses=_TWO),
            Implication("M = 1", _single_weight, uses=_TWO, max_patterns=1),
        ),
    ),
)
