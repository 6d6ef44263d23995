r"""A proof of where retrieval from a pattern ends: a ball that converges to one point, and the way there.

*The ball.* Let c be a point and :math:`a = T(c)`. With the no-op slot as a pattern at 0 of weight :math:`p_0`, let
:math:`w_\nu = \|\xi_\nu - a\| \le w` and
:math:`G_k = \lambda_{\max}(\sum_\nu p_\nu(c)\,w_\nu^k\,(\xi_\nu - a)(\xi_\nu - a)^\top)`. From c to x the weight of ν
grows by the factor :math:`e^{\beta\langle\xi_\nu, x - c\rangle}` over the mean of these factors, which by Jensen's
inequality is at least :math:`e^{\beta\langle a, x - c\rangle}`. So on the ball :math:`B(c, R)`

.. math:: \|J(x)\|_2 \le L(R) = \beta\Bigl(G_0 + \frac{e^{\beta wR} - 1}{w}\,G_1\Bigr), \qquad
          \|T(x) - c\| \le \varepsilon(R) = \|a - c\| + \int_0^R L(t)\,dt,

and, as in :mod:`~hopfield_theory.certificates.rejection`, every query closer to c than the largest R with
:math:`\varepsilon(R) \le R` converges to one fixed point, at most the least such R from c.

*The way there.* If the true orbit is within :math:`\delta` of the computed state x, its next state is within
:math:`L\delta + \eta` of the computed one, where η bounds the rounding of an update and :math:`L = \beta\,e^{2\beta
m\delta}\,\mathrm{tr}\,\mathrm{Cov}(x)` the Jacobian between the two.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hopfield_theory.certificates.growth import Growth, largest_eigenvalue
from hopfield_theory.model.memory import Memory

__all__ = ["arrives", "attracting_ball", "one_update"]

_UNIT = 2.0**-53
# share of β λ_max left to patterns of small weight, which enter by their trace
_REST = 1e-4


def _rounding(memory: Memory, longest: float = 0.0) -> float:
    """The relative error of a weight, at a state no longer than this or m; times m, the error of an update."""
    score = (memory.dim + 16) * (_UNIT * memory.beta * memory.radius * max(longest, memory.radius) + 1e-300)
    log_n = 2 * _UNIT * abs(math.log(memory.noop)) if memory.noop else 0.0
    return 2 * math.expm1(min(2 * score + log_n, 700.0)) + 2 * (memory.num_patterns + 64) * _UNIT


def one_update(memory: Memory, states: Tensor) -> tuple[Tensor, float]:
    """Return the updates of states, shape (K, d), in float64, and a bound on the rounding of each.

    Examples
    --------
    >>> image, rounding = one_update(Memory(torch.eye(2, dtype=torch.float64)), torch.zeros(1, 2, dtype=torch.float64))
    >>> image, rounding < 1e-13
    (tensor([[0.3333, 0.3333]], dtype=torch.float64), True)
    """
    longest = torch.linalg.vector_norm(states, dim=1).max().item() if len(states) else 0.0
    return memory.update(states), _rounding(memory, longest) * memory.radius


def attracting_ball(memory: Memory, centre: Tensor) -> tuple[float, float] | None:
    """Return bounds on the distance from a point to the fixed point next to it, and on the radius that it attracts.

    Parameters
    ----------
    memory : Memory
        A memory in float64 with the separation ``SoftmaxN``.
    centre : Tensor, shape (d,)
        A point close to an attracting fixed point, no longer than the radius of the memory.

    Returns
    -------
    tuple of two floats or None
        Every query closer to ``centre`` than the second ends at one fixed point, at most the first from ``centre``.

    Examples
    --------
    >>> memory = Memory(torch.tensor([[1.0], [-1.0]], dtype=torch.float64), 0.5, 0.0)
    >>> attracting_ball(memory, torch.zeros(1, dtype=torch.float64))
    (..., 1.99...)
    """
    relative = _rounding(memory)
    if relative > 1e-3 or memory.radius == 0:
        return None
    # in units in which m = 1
    unit, beta = memory.radius, memory.beta * memory.radius**2
    image = memory.update(centre) / unit
    # the slot is one more pattern, at 0
    away = torch.cat([memory.patterns / unit - image, -image.unsqueeze(0)])
    w = torch.linalg.vector_norm(away, dim=1) * (1 + 1e-12)
    mass = torch.cat([memory.weights(centre), memory.noop_weight(centre).reshape(1)]) * (1 + relative) + 1e-300
    small = beta * mass * w * w < _REST / len(w)
    plain, tilted = (
        largest_eigenvalue(away[~small] * (mass * w**k)[~small].sqrt().unsqueeze(1))
        + float((mass * w ** (k + 2))[small].sum())
        for k in (0, 1)
    )
    far = float(w.max())
    start = float((memory.update(centre) - centre).norm()) / unit + relative
    terms = ((beta * max(plain - tilted / far, 0.0), 0.0), (beta * tilted / far, beta * far))
    radii = Growth(start, terms).radii(2.0)
    return None if radii is None else (radii[0] * unit, radii[1] * unit)


def arrives(memory: Memory, starts: Tensor, centres: Tensor, radii: Tensor, max_steps: int) -> Tensor:
    """Whether the orbit of each start is proved to come closer to a centre than a radius; False says nothing.

    Parameters
    ----------
    memory : Memory
        A memory in float64 with the separation ``SoftmaxN``.
    starts, centres : Tensor, shape (K, d)
        Starts are no longer than the radius of the memory.
    radii : Tensor, shape (K,)

    Examples
    --------
    >>> memory = Memory(torch.tensor([[1.0], [-1.0]], dtype=torch.float64), 0.5, 0.0)
    >>> arrives(memory, memory.patterns, 0 * memory.patterns, torch.tensor([0.1, 0.0]), 100)
    tensor([ True, False])
    """
    relative = _rounding(memory)
    arrived = torch.zeros(len(starts), dtype=torch.bool, device=starts.device)
    if relative > 1e-3:
        return arrived
    m = memory.radius
    squares = (memory.patterns * memory.patterns).sum(1, keepdim=True)
    values = torch.cat([memory.patterns, squares], 1)
    place, x = torch.arange(len(starts), device=starts.device), starts
    doubt = torch.zeros_like(radii)
    for _ in range(max_steps):
        left = torch.linalg.vector_norm(x - centres[place], dim=1) * (1 + 1e-12) + doubt
        arrived[place] = left < radii[place]
        on = ((left >= radii[place]) & (doubt < radii[place])).nonzero().squeeze(1)
        place, x, doubt = place[on], x[on], doubt[on]
        if not len(place):
            break
        mixed, _ = memory._mix(x, values)
        image, second = mixed[:, :-1], mixed[:, -1]
        spread = second - (image * image).sum(1) + 8 * relative * m * m
        doubt = memory.beta * torch.exp(2 * memory.beta * m * doubt) * spread * doubt * (1 + 1e-9) + relative * m
        x = image
    return arrived
