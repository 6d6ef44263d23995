r"""The bound on retrieval in a ball around each pattern, by one or two passes over all pairs of patterns.

Let :math:`w_\nu = \|\xi_\nu - \xi_\mu\|` and :math:`g_\nu = \langle\xi_\mu, \xi_\mu - \xi_\nu\rangle`, and count the
no-op slot as a pattern at 0 with multiplicity ``n``: :math:`w_0 = \|\xi_\mu\|`, :math:`g_0 = \|\xi_\mu\|^2`. On the
ball :math:`B(\xi_\mu, R)` the weight of ν is at most :math:`e^{-\beta(g_\nu - R w_\nu)}`, hence

.. math:: \|T(x) - \xi_\mu\| \le \varepsilon(R) = \sum_{\nu\ne\mu} w_\nu\, e^{-\beta(g_\nu - R w_\nu)}, \qquad
          \|J(x)\|_2 \le L(R) = \beta\sum_{\nu\ne\mu} w_\nu^2\, e^{-\beta(g_\nu - R w_\nu)} = \varepsilon'(R).

The contraction constant is the derivative of the error bound, and :math:`\varepsilon` is convex. So if
:math:`\varepsilon(R) < R` for one ``R``, the radii with :math:`\varepsilon(R) \le R` form an interval :math:`[r, \bar
r]` with :math:`L(r) < 1`: every query closer than :math:`\bar r` to the pattern converges to one fixed point, at most
``r`` from the pattern, and close to it T contracts by :math:`L(r)`.

The sums are needed at many ``R``, but the pairs are visited only once or twice. For each tile of columns the term of
the largest overlap is kept exactly; of the others, only the moments :math:`\sum w^{k+1} e^{-\beta(g - R_0 w)}`,
k = 0, 1, 2, at one :math:`R_0`. At any other ``R`` the factor :math:`e^{\beta(R - R_0)w}` is replaced by its chord
between the least and the largest ``w``: an upper bound, also convex in ``R``, and exact at :math:`R_0`. The first
sweep takes :math:`R_0 = 1/(2\beta m)`, near the radius that decides whether there is a ball. There the bound never
exceeds the term
:math:`2m\,e^{-\beta(\Delta - 2mR)}` of the worst case T12: for :math:`R \ge R_0` since the chord is at most its value
at ``w = 2m``; for :math:`R < R_0` since :math:`s\,e^{Bs}(1 - s(1 - e^{-D}))` with :math:`B = 2\beta m R_0 = 1` and
:math:`D = 2\beta m(R_0 - R) \le 1` increases in :math:`s = w/2m` on [0, 1]. A second sweep, over the patterns that can
gain from it, takes as :math:`R_0` the upper bound on :math:`\bar r` that Jensen's inequality gives (the mean ``w`` in
place of all).

Rounding is towards "no ball". A score carries an error of at most :math:`(d + 16)\,u\,\beta m^2`, with :math:`u` the
rounding unit of the sweep; it enters distances, gaps and exponents with its worst sign. Sums are inflated by the number
of their terms times :math:`u`; a term that underflows counts as the underflow threshold. Sweeps are in float64. In a
memory of more than 8 192 patterns they are in float32 if that error is at most :math:`10^{-3}`, and again in float64
for the patterns that have another one too close for it; ``rival`` is then the pattern of the largest overlap up to that
rounding. Where :math:`3(d + 16)\,u\,\beta m^2` exceeds 700, in float64 from :math:`\beta m^2 \approx 10^{16}` on,
nothing is certified.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hopfield_theory.certificates.segments import reduced, tiles
from hopfield_theory.model.memory import Memory
from hopfield_theory.model.separation import Entmax, SoftmaxN

__all__ = ["CertifiedBalls", "certified_balls"]

# unit of rounding, and a bound above every number that the dtype may flush to zero
_ROUNDING = {torch.float32: (2.0**-24, 1e-37), torch.float64: (2.0**-53, 1e-300)}


@dataclass(frozen=True)
class CertifiedBalls:
    """The certified balls around a block of patterns; float64 tensors, one number per pattern.

    Attributes
    ----------
    radius : Tensor
        The largest ``R`` whose ball the update maps into itself, by the bound; ``inf`` for the whole space, 0 for none.
    error : Tensor
        The smallest such ``R``, NaN for none.
    contraction : Tensor
        Bound on ``‖J‖`` in the smallest ball, NaN for none.
    nearest_distance : Tensor
        Distance to the nearest other pattern, ``inf`` for a single pattern.
    nearest : Tensor of int64
        Index of that pattern, −1 for a single pattern.
    gap : Tensor
        ``Δ_μ``, the least ``⟨ξ_μ, ξ_μ − ξ_ν⟩``; ``inf`` for a single pattern.
    rival : Tensor of int64
        The ν that attains it, −1 for a single pattern.
    """

    radius: Tensor
    error: Tensor
    contraction: Tensor
    nearest_distance: Tensor
    nearest: Tensor
    gap: Tensor
    rival: Tensor


def certified_balls(
    memory: Memory, indices: Tensor, *, largest: bool = True, decides: tuple[Tensor, Tensor] | None = None
) -> CertifiedBalls:
    """Bound retrieval around some patterns of a memory with ``SoftmaxN`` or ``Entmax``.

    A ball is reported only where its error is below half the distance to the nearest other pattern (with the rounding
    margins), so that the small balls of any two patterns are disjoint.

    Parameters
    ----------
    memory : Memory
    indices : Tensor of int64, shape (K,)
        Indices of the patterns; memory use grows with their number.
    largest : bool
        Without it ``radius`` is the ``error``, the radius of the smallest ball, and the second sweep is left out.
    decides : tuple of two Tensors, shape (K,), optional
        Per pattern the least and the largest distance that is to be compared with ``radius``. The second sweep is left
        out where it cannot change such a comparison.

    Examples
    --------
    >>> memory = Memory(torch.eye(2, dtype=torch.float64), beta=10.0, noop=0.0)
    >>> found = certified_balls(memory, torch.arange(2))
    >>> found.nearest, found.nearest_distance
    (tensor([1, 0]), tensor([1.4142, 1.4142], dtype=torch.float64))
    """
    with torch.autocast(memory.patterns.device.type, enabled=False):
        return _balls(memory, indices, largest, decides)


def _balls(memory: Memory, indices: Tensor, largest: bool, decides: tuple[Tensor, Tensor] | None) -> CertifiedBalls:
    # in units of patterns times √β the inverse temperature is 1
    root = math.sqrt(memory.beta)
    blank = torch.empty(len(indices), dtype=torch.float64, device=indices.device)
    result = CertifiedBalls(
        radius=blank,
        error=blank.clone(),
        contraction=blank.clone(),
        nearest_distance=blank.clone(),
        nearest=torch.empty_like(indices),
        gap=torch.full_like(blank, torch.inf),
        rival=torch.empty_like(indices),
    )
    for rows, dtype, first in _sweeps(memory, indices):
        own = memory.patterns[indices[rows]].double() * root
        doubt = 1e-12 * memory.beta * memory.radius**2 if dtype == torch.float64 else _narrow_error(memory)
        result.nearest_distance[rows], result.nearest[rows] = _nearest(memory, indices[rows], first, doubt)
        if memory.num_patterns > 1:
            gap = (own * (own - memory.patterns[first.rival].double() * root)).sum(1)
            result.gap[rows] = gap / memory.beta
        result.rival[rows] = first.rival
        found = _smallest(memory, first)
        outer = found.inner
        if largest:
            compared = None if decides is None else (decides[0][rows] * root, decides[1][rows] * root)
            outer = _largest(memory, indices[rows], first, found, dtype, compared)
        result.radius[rows] = torch.where(found.proved, outer / root, 0.0)
        result.error[rows] = torch.where(found.proved, found.inner / root, torch.nan)
        result.contraction[rows] = torch.where(found.proved, found.contraction, torch.nan)
    return result


def _narrow_error(memory: Memory) -> float:
    """The error of a score in float32, in units in which β = 1."""
    return (memory.dim + 16) * _ROUNDING[torch.float32][0] * memory.beta * memory.radius**2


def _sweeps(memory: Memory, indices: Tensor) -> Iterator[tuple[Tensor, torch.dtype, _Sweep]]:
    """Sweep for a block of patterns: in float32 where that is exact enough, the others in float64."""
    root, radius = math.sqrt(memory.beta), memory.radius * math.sqrt(memory.beta)
    own = memory.patterns[indices].double() * root
    tilt = torch.full_like(own[:, 0], 0.5 / radius if radius > 0 else 0.0)
    rows = torch.arange(len(indices), device=indices.device)
    # on other devices, or with a setting of PyTorch, float32 products may be rounded to fewer bits
    exact_products = own.device.type == "cpu" and torch.get_float32_matmul_precision() == "highest"
    if memory.num_patterns > 8192 and _narrow_error(memory) < 1e-3 and exact_products:
        sweep = _sweep(memory, root, own, indices, tilt, torch.float32)
        far = sweep.least >= 1000 * _narrow_error(memory)
        if bool(far.any()):
            yield rows[far], torch.float32, sweep.of(far)
        rows = rows[~far]
    if len(rows):
        yield rows, torch.float64, _sweep(memory, root, own[rows], indices[rows], tilt[rows], torch.float64)


@dataclass(frozen=True)
class _Smallest:
    """The smallest balls, in units in which β = 1."""

    proved: Tensor
    inner: Tensor
    contraction: Tensor
    best: Tensor  # where ε(R) − R is least
    steep: Tensor  # no R above twice this has ε(R) ≤ R


def _everything_is_one_ball(memory: Memory) -> bool:
    return memory.num_patterns == 1 and (memory.noop == 0 or memory.radius == 0)


def _smallest(memory: Memory, sweep: _Sweep) -> _Smallest:
    zero = torch.zeros_like(sweep.surely)
    if isinstance(memory.separation, Entmax):
        return _Smallest((sweep.margin_radius > 0) & (sweep.surely > 0), zero, zero, zero, zero)
    if _everything_is_one_ball(memory):
        return _Smallest(torch.ones_like(zero, dtype=torch.bool), zero, zero, zero, zero)
    bound = sweep.bound
    w, g = bound.exact_w.clamp_min(1e-150), bound.exact_g
    # from here on one term has the slope w² e^{Rw − g} ≥ 1, and from twice this value on the term exceeds R
    steep = ((g - 2 * torch.log(w)) / w).amin(1).clamp_min(0)
    # where ε(R) − R has its minimum: the best chance to be negative
    best = _last(lambda R: bound.slope(R) < 1, torch.zeros_like(steep), steep)
    passes = (best > 0) & (bound.error(best) <= best)
    inner = best
    for _ in range(30 if bool(passes.any()) else 0):
        inner = torch.where(passes, torch.minimum(bound.error(inner), inner), inner)
    contraction = bound.contraction(inner)
    proved = passes & (contraction < 1) & (inner < 0.5 * sweep.surely)
    return _Smallest(proved, inner, contraction, best, steep)


def _largest(
    memory: Memory,
    indices: Tensor,
    sweep: _Sweep,
    found: _Smallest,
    dtype: torch.dtype,
    decides: tuple[Tensor, Tensor] | None,
) -> Tensor:
    """The largest ``R`` with ``ε(R) ≤ R``, where there is one; a second sweep where it can gain from it."""
    if isinstance(memory.separation, Entmax):
        return sweep.margin_radius
    if _everything_is_one_ball(memory):
        return torch.full_like(found.inner, torch.inf)
    bound, root = sweep.bound, math.sqrt(memory.beta)
    outer = _last(lambda R: bound.error(R) <= R, found.best, 2 * found.steep)
    # no R above it has ε(R) ≤ R, up to rounding
    ceiling = _last(lambda R: bound.jensen(R) <= R, found.best, 2 * found.steep)
    again = found.proved & (outer < 0.98 * ceiling)
    if decides is not None:
        again &= (decides[0] <= ceiling * (1 + 1e-9)) & (decides[1] >= outer * (1 - 1e-9))
    again = again.nonzero().flatten()
    if len(again):
        own = memory.patterns[indices[again]].double() * root
        bound = _sweep(memory, root, own, indices[again], ceiling[again], dtype).bound
        outer[again] = _last(lambda R: bound.error(R) <= R, outer[again], ceiling[again] * (1 + 1e-9))
    return outer


def _nearest(memory: Memory, indices: Tensor, sweep: _Sweep, doubt: float) -> tuple[Tensor, Tensor]:
    """Distance to the nearest other pattern and its index, by differences: ``‖a‖² − 2⟨a, b⟩ + ‖b‖²`` cancels."""
    distance = torch.full_like(sweep.least, torch.inf)
    nearest = sweep.nearest.clone()
    if memory.num_patterns == 1:
        return distance, nearest
    size = memory.radius if memory.radius > 0 else 1.0
    own = memory.patterns[indices].double() / size
    distance = torch.linalg.vector_norm(own - memory.patterns[nearest].double() / size, dim=1)
    # where the cancellation is as large as the distances, compare with every pattern
    for row in (sweep.least <= 64 * doubt).nonzero().flatten().tolist():
        for columns in _blocks(memory.num_patterns, 1 << 16):
            differences = torch.linalg.vector_norm(memory.patterns[columns].double() / size - own[row], dim=1)
            place = int(indices[row]) - columns.start
            if 0 <= place < len(differences):
                differences[place] = torch.inf
            least, where = differences.min(0)
            if least < distance[row]:
                distance[row], nearest[row] = least, where + columns.start
    return distance * size, nearest


@dataclass(frozen=True)
class _Sweep:
    """The result of one pass over all columns for a block of patterns, in units in which β = 1."""

    nearest: Tensor
    rival: Tensor
    least: Tensor  # squared distance to the nearest other pattern
    surely: Tensor  # a lower bound on that distance
    margin_radius: Tensor  # of the ball that α-entmax maps onto the pattern
    bound: _Bound

    def of(self, rows: Tensor) -> _Sweep:
        """Return the sweep for some of the patterns."""
        return _Sweep(
            self.nearest[rows],
            self.rival[rows],
            self.least[rows],
            self.surely[rows],
            self.margin_radius[rows],
            self.bound.of(rows),
        )


def _sweep(memory: Memory, root: float, own: Tensor, indices: Tensor, tilt: Tensor, dtype: torch.dtype) -> _Sweep:
    unit, underflow = _ROUNDING[dtype]
    count = memory.num_patterns
    radius = memory.radius * root
    # squares of tiny patterns may be flushed to zero
    score_error = (memory.dim + 16) * (unit * radius**2 + underflow)
    square_error = 5 * score_error
    own, column_tilt = own.to(dtype), tilt.to(dtype).unsqueeze(1)
    norms = (own * own).sum(1)
    nearest, rival = torch.full_like(indices, -1), torch.full_like(indices, -1)
    least, most, top = torch.full_like(norms, torch.inf), torch.zeros_like(norms), torch.full_like(norms, -torch.inf)
    margin_radius = torch.full_like(norms, torch.inf)
    moments = own.new_zeros(3, len(own), dtype=torch.float64)
    exact_w, exact_g = [], []
    # a power of two, which kernels want
    tile = min(1 << max(count // 64, 64).bit_length() - 1, 1024)
    for columns in tiles(own, count, tile):
        other = (memory.patterns[columns].double() * root).to(dtype)
        found = reduced(
            own @ other.mT,
            (other * other).sum(1),
            norms,
            column_tilt,
            indices,
            columns,
            tile,
            square_error,
            memory.separation,
            score_error,
        )
        value, where = found.least.min(1)
        nearest = torch.where(value < least, found.nearest.gather(1, where.unsqueeze(1)).squeeze(1), nearest)
        least = torch.minimum(least, value)
        most = torch.maximum(most, found.most.amax(1))
        value, where = found.top.max(1)
        rival = torch.where(value > top, found.rival.gather(1, where.unsqueeze(1)).squeeze(1), rival)
        top = torch.maximum(top, value)
        if isinstance(memory.separation, Entmax):
            margin_radius = torch.minimum(margin_radius, found.margin_radius)
            continue
        exact_w.append(found.exact_w)
        exact_g.append(norms.unsqueeze(1) - found.top)
        moments += found.moments.sum(-1)
    least, most, norms = least.double(), most.double(), norms.double()
    surely = (least - square_error).clamp_min(0).sqrt()
    high = (most + square_error).sqrt()
    log_n_size = 0.0
    if isinstance(memory.separation, SoftmaxN):
        log_n_size = abs(memory.separation.log_n) if memory.noop else 0.0
        # the no-op slot, a pattern at zero with multiplicity n
        exact_w.append((norms + square_error).sqrt().unsqueeze(1))
        exact_g.append((norms - memory.separation.log_n).unsqueeze(1))
    else:
        exact_w = exact_g = [norms.unsqueeze(1)[:, :0]]
    bound = _Bound(
        torch.cat(exact_w, 1).double(),
        torch.cat(exact_g, 1).double(),
        moments,
        count * underflow * high ** torch.arange(1, 4, device=high.device).unsqueeze(1),
        tilt,
        torch.minimum(surely, high),
        high,
        radius,
        3 * score_error + 4 * _ROUNDING[torch.float64][0] * log_n_size,
        unit,
        (tile + 64) * unit + count * _ROUNDING[torch.float64][0],
    )
    return _Sweep(nearest, rival, least, surely, margin_radius.double(), bound)


def _blocks(count: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


@dataclass(frozen=True)
class _Bound:
    """Upper bounds on ``ε(R)`` and ``L(R)`` for a block of patterns, as functions of one ``R`` per pattern."""

    exact_w: Tensor
    exact_g: Tensor
    moments: Tensor
    underflow: Tensor  # the most that the moments may have lost to it
    tilt: Tensor
    low: Tensor
    high: Tensor
    radius: float
    exponent_error: float
    unit: float
    sum_error: float

    def of(self, rows: Tensor) -> _Bound:
        """Return the bound for some of the patterns."""
        per_row = {name: getattr(self, name)[rows] for name in ("exact_w", "exact_g", "tilt", "low", "high")}
        return replace(self, **per_row, moments=self.moments[:, rows], underflow=self.underflow[:, rows])

    def error(self, R: Tensor) -> Tensor:
        """Bound on ``ε(R)``, convex in ``R``."""
        return self._sum(R, 0)

    def slope(self, R: Tensor) -> Tensor:
        """The derivative of that bound."""
        return self._sum(R, 0, derivative=1)

    def contraction(self, R: Tensor) -> Tensor:
        """Bound on ``L(R)``."""
        return self._sum(R, 1)

    def jensen(self, R: Tensor) -> Tensor:
        """A lower bound on ``ε(R)``, up to rounding: the terms outside the exact ones at their mean ``w``."""
        first, second = self.moments[0], self.moments[1]
        terms = torch.exp(R.unsqueeze(1) * self.exact_w - self.exact_g)
        mean = torch.where(first > 0, second / first, 0.0)
        return (self.exact_w * terms).sum(1) + first * torch.exp((R - self.tilt) * mean)

    def _sum(self, R: Tensor, order: int, derivative: int = 0) -> Tensor:
        terms = torch.exp(R.unsqueeze(1) * self.exact_w - self.exact_g)
        exact = (self.exact_w ** (order + 1 + derivative) * terms).sum(1)
        first, second = self.moments[order : order + 2] + self.underflow[order : order + 2]
        spread = self.high - self.low
        at_low, at_high = (end**derivative * torch.exp((R - self.tilt) * end) for end in (self.low, self.high))
        # each moment is rounded separately, and the difference of two may be smaller than their errors
        lost = 2 * self.sum_error * self.high * first
        chord = (self.high * first - second + lost).clamp_min(0) * at_low
        chord = chord + (second - self.low * first + lost).clamp_min(0) * at_high
        # for a negligible spread, take the larger end
        rest = torch.where(
            spread > 1e-6 * self.high, chord / spread * (1 + 1e-9), first * torch.maximum(at_low, at_high)
        )
        if self.exponent_error > 700:
            # scores are below their rounding error
            return torch.full_like(R, torch.inf)
        margin = torch.exp(self.exponent_error + 16 * self.unit * R * self.radius) * (1 + self.sum_error)
        return (exact + rest) * margin + _ROUNDING[torch.float64][1]


def _last(true: Callable[[Tensor], Tensor], low: Tensor, high: Tensor) -> Tensor:
    """The point between ``low`` and ``high`` at which ``true`` ends, from below; ``low`` if it never holds."""
    for _ in range(45):
        middle = 0.5 * (low + high)
        holds = true(middle)
        low, high = torch.where(holds, middle, low), torch.where(holds, high, middle)
    return low
