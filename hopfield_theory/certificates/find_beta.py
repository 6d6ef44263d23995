r"""The inverse temperature from which on the patterns of a set are certified as stored, and from which on retrieved.

Both are found pattern by pattern. By T18, in its form with the actual sums, a ball that is certified at one β is
certified at every larger one: with :math:`\varepsilon(R) \le R` below the distances to the other patterns every
exponent :math:`g_\nu - R w_\nu` is positive, and the no-op slot's is if :math:`R \le \|\xi_\mu\|` or n = 0, so that
every term falls as β grows. So each pattern has one threshold on the grid, which is searched for from a lower bound: at
its ball the term of one other pattern alone must be at most R, hence :math:`\beta w^2 e^{1 - \beta g} \le 1`.

Below its threshold a pattern is followed: retrieval from the pattern itself, at one β after the other downwards, until
it is lost. Retrieval is not monotone in β, so a sample of the patterns is followed at every β all the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hopfield_theory import _arguments, _arrays
from hopfield_theory._sentences import SHOWN, Told, count, listed, many, rows_named, up, verb
from hopfield_theory.certificates.ball_bound import CertifiedBalls, certified_balls
from hopfield_theory.certificates.certify import check_separation
from hopfield_theory.certificates.endpoints import endpoints
from hopfield_theory.model.memory import Memory
from hopfield_theory.model.separation import Separation, SoftmaxN

__all__ = ["BetaSearch", "SearchInterruptedError", "beta_grid", "find_beta"]

Progress = Callable[[int, int], None]

# patterns per block of rows
_ROWS = 1024
# a memory of at most so many patterns is its own sample
_ALL, _SAMPLE = 2048, 512


@dataclass(frozen=True, repr=False)
class BetaSearch(Told):
    r"""The results for M patterns on a grid of β.

    Attributes
    ----------
    betas : Tensor, shape (K,)
        The part of the grid that was examined, ascending.
    skipped : Tensor
        The rest of the grid: smaller β, not examined since nothing of the sample is retrieved at the last one that was.
    stored_from : Tensor, shape (M,)
        The least β of the grid from which on each pattern is certified; infinite if there is none.
    retrieved_from : Tensor, shape (M,)
        The least β of the grid from which on each pattern is retrieved: certified, or retrieval from the pattern itself
        ends within half the distance to the nearest other pattern, at a fixed point that no other pattern shares.
    sample : Tensor of int64
        The patterns that were followed at every β: all in a memory of at most 2 048, else 512 evenly spaced ones. Of a
        larger memory, only the two patterns nearest to a fixed point are asked whether they share it.
    followed_from : float
        Below this β only the sample was followed, since less than half of it was still retrieved: ``retrieved_from`` of
        other patterns is at least this, or the β from which on they are certified.
    losses : list of (float, float, list of int)
        Where retrieval is not monotone: two neighbouring β, and the patterns of the sample that are retrieved only at
        the lower one.
    equal_to : Tensor of int64, shape (M,)
        The first pattern that each one equals, if it is another; −1 for none. Equal patterns are never stored, unless
        they were dropped: then the first stands for all, and the others have its thresholds.
    nearest_distance, nearest, gap, rival : Tensor, shape (M,)
        Same as in :class:`~hopfield_theory.Certificate`.
    """

    betas: Tensor
    skipped: Tensor
    stored_from: Tensor
    retrieved_from: Tensor
    sample: Tensor
    followed_from: float
    losses: list[tuple[float, float, list[int]]]
    equal_to: Tensor
    nearest_distance: Tensor
    nearest: Tensor
    gap: Tensor
    rival: Tensor

    @property
    def stored(self) -> Tensor:
        """Which patterns are certified at each β and every larger one of the grid, shape (K, M)."""
        return self.betas.unsqueeze(1) >= self.stored_from

    @property
    def retrieved(self) -> Tensor:
        """Which patterns are retrieved at each β and every larger one of the grid, shape (K, M)."""
        return self.betas.unsqueeze(1) >= self.retrieved_from

    def stored_for(self, share: float = 1.0) -> float:
        """Return the least β of the grid from which on this share of the patterns is certified, else infinity.

        Examples
        --------
        >>> find_beta(torch.eye(3, dtype=torch.float64), betas=[1.0, 4.0, 16.0]).stored_for(0.9)
        16.0
        """
        return _for(self.stored_from, share)

    def retrieved_for(self, share: float = 1.0) -> float:
        """Return the least β of the grid from which on this share of the patterns is retrieved, else infinity."""
        return _for(self.retrieved_from, share)

    @property
    def last(self) -> list[int]:
        """The patterns that hold out: certified only from more than twice the β that does for 90%; latest first."""
        order = torch.argsort(self.stored_from, descending=True, stable=True)
        return order[self.stored_from[order] > 2.1 * self.stored_for(0.9)].tolist()

    @property
    def blocking(self) -> dict[int, str]:
        """The patterns that are not certified at the largest β, with the reason for each.

        A pattern inside the convex hull of the others always overlaps one of them at least as much as itself.
        """
        reasons = {}
        for index in self.stored_from.isinf().nonzero().flatten().tolist():
            nearest, rival = int(self.nearest[index]), int(self.rival[index])
            if self.nearest_distance[index] == 0:
                reasons[index] = f"a duplicate of pattern {nearest}"
            elif self.gap[index] <= 0:
                reasons[index] = f"its overlap with pattern {rival} is no less than with itself: no β certifies it"
            else:
                reasons[index] = f"the grid ends too early: its gap to pattern {rival} is {float(self.gap[index]):.3g}"
        return reasons

    def lines(self) -> list[str]:
        """Return the thresholds, who holds out, what blocks and what is lost again, in sentences."""
        whole = len(self.stored_from)
        grid = torch.cat([self.skipped, self.betas])
        again = self.equal_to.ge(0).nonzero().flatten().tolist()
        # rows that were left out are in no sample
        everyone = len(self.sample) in (whole, whole - len(again))
        span = f"from {grid[0]:.4g} to {grid[-1]:.4g}" if len(grid) > 1 else f"= {grid[0]:.4g}"
        said = [f"{many(whole)}; grid of {many(len(grid), 'value')} of β {span}."]
        if len(self.skipped):
            whom = "no pattern" if everyone else f"none of a sample of {many(len(self.sample))}"
            said.append(f"At β = {self.betas[0]:.4g} {whom} is retrieved: smaller β were not examined.")
        if again:
            pairs = [f"{row} (= {int(self.equal_to[row])})" for row in again]
            dropped = "" if bool(self.stored_from[again].isinf().all()) else " and were left out"
            said.append(f"Rows that equal an earlier one{dropped}: {listed(pairs)}.")
        said.append(_shares("Proved stored", self.stored_for))
        said.append(_shares("Retrieved in fact", self.retrieved_for))
        said += self._last_lines()
        reasons = self.blocking
        if reasons:
            said.append(f"{len(reasons)} of {many(whole)} {verb(len(reasons))} not stored at the largest β:")
            said += [f"  pattern {index}: {reason}" for index, reason in list(reasons.items())[:SHOWN]]
            if len(reasons) > SHOWN:
                said.append(f"  … and {len(reasons) - SHOWN} more")
        if self.losses:
            said.append("Retrieval is not monotone in β:")
            said += [
                f"  from β = {low:.4g} to {high:.4g} it loses {rows_named(lost)}"
                for low, high, lost in self.losses[:SHOWN]
            ]
        else:
            which = "pattern" if everyone else "pattern of the sample"
            said.append(f"On this grid no {which} that is retrieved at one β is lost at the next.")
        return said

    def _last_lines(self) -> list[str]:
        """Name the patterns that are stored, but only from a larger β than all others."""
        last = [row for row in self.last if self.stored_from[row] < math.inf]
        if not last:
            return []
        others = torch.ones_like(self.stored_from, dtype=torch.bool)
        others[self.last] = False
        before, share = float(self.stored_from[others].max()), 100 * int(others.sum()) / len(others)
        pairs = {frozenset((row, int(self.nearest[row]))) for row in last if int(self.nearest[row]) in last}
        apart = [float(self.nearest_distance[row]) for row in last]
        low, high = f"{min(apart):.2g}", f"{max(apart):.2g}"
        distance = low if low == high else f"{low} to {high}"
        close = f"at {distance} from {'its' if len(last) == 1 else 'their'} nearest neighbour{'s' * (len(last) > 1)}"
        if 2 * len(pairs) == len(last):
            close = f"{many(len(pairs), 'pair')} {distance} apart"
        return [
            f"{math.floor(share * 100) / 100:g}% are proved stored from β = {up(before)} on; the last {len(last)}, "
            f"{close}, only from β = {up(float(self.stored_from[last].max()))} on: {rows_named(last)}."
        ]


class SearchInterruptedError(KeyboardInterrupt):
    """Ctrl-C during :func:`find_beta`; ``found`` is what was found until then: thresholds may still fall."""

    def __init__(self, found: BetaSearch) -> None:
        stored = found.stored_from[found.stored_from.isfinite()]
        latest = f", at β = {up(float(stored.max()))} at the latest" if len(stored) else ""
        super().__init__(f"Interrupted: {count(len(stored), len(found.stored_from))} proved stored until now{latest}.")
        self.found = found


def _shares(what: str, threshold: Callable[[float], float]) -> str:
    parts = []
    for share, of in ((0.9, "90%"), (0.99, "99%"), (1.0, "all")):
        beta = threshold(share)
        parts.append(f"{of} from β = {up(beta)} on" if beta < math.inf else f"{of} at no β of the grid")
    return f"{what}: {', '.join(parts)}."


def _for(thresholds: Tensor, share: float) -> float:
    needed = max(1, math.ceil(share * len(thresholds) - 1e-9))
    return float(thresholds.sort().values[needed - 1])


def beta_grid(radius: float) -> Tensor:
    """Return the default grid: ``β m²`` from 1 to 2²⁰ in steps of a factor √2, shape (41,).

    Parameters
    ----------
    radius : float
        ``m``, the largest norm of a pattern, above 0.

    Examples
    --------
    >>> grid = beta_grid(2.0)
    >>> grid[0].item(), grid[-1].item()
    (0.25, 262144.0)
    """
    even = 2.0 ** torch.arange(21, dtype=torch.float64)
    grid = torch.stack([even, even * math.sqrt(2)], 1).flatten()[:-1] / radius / radius
    if not (grid[0] > 1e-300 and grid[-1] < 1e300):
        raise ValueError(f"patterns reach a norm of {radius:.3g}: their β leave the floats; scale or normalise them")
    return grid


def find_beta(
    patterns: Any,
    noop: float | None = None,
    *,
    separation: Separation | None = None,
    centre: bool = False,
    normalise: bool = False,
    betas: Sequence[float] | Tensor | None = None,
    drop_duplicates: bool = False,
    max_steps: int = 10_000,
    progress: Progress | None = None,
) -> BetaSearch:
    r"""Find for every pattern of a set the β from which on it is certified, and from which on retrieved.

    Parameters
    ----------
    patterns, noop, separation, centre, normalise
        Same as for :class:`~hopfield_theory.Memory`; with the default grid, not all patterns may be zero.
    betas : sequence of float, optional
        The grid in any order, at least one value, each finite and above 0; :func:`beta_grid` by default.
    drop_duplicates : bool
        Search without the patterns that equal an earlier one.
    max_steps : int
        Largest number of updates per pattern and β, at least 1; a pattern that has not settled by then is not
        retrieved.
    progress : callable, optional
        Called with the number of finished and of all thresholds, two per pattern.

    Examples
    --------
    >>> found = find_beta(torch.eye(3, dtype=torch.float64), betas=[1.0, 4.0, 16.0])
    >>> found.stored_from, found.stored_for(0.9)
    (tensor([16., 16., 16.], dtype=torch.float64), 16.0)
    >>> print(found.summary())
    3 patterns; grid of 3 values of β from 1 to 16.
    Proved stored: 90% from β = 16 on, 99% from β = 16 on, all from β = 16 on.
    Retrieved in fact: 90% from β = 4 on, 99% from β = 4 on, all from β = 4 on.
    On this grid no pattern that is retrieved at one β is lost at the next.
    """
    max_steps = _arguments.integer("max_steps", max_steps, 1)
    reference = Memory(patterns, 1.0, noop, separation=separation, centre=centre, normalise=normalise)
    check_separation(reference)
    if betas is None and reference.radius == 0:
        raise ValueError("patterns are all zero: no β stores them; give others")
    # what is known of the patterns is kept on the CPU, wherever they are
    with torch.device("cpu"):
        grid = (
            beta_grid(reference.radius)
            if betas is None
            else _arrays.floating("betas", betas, torch.float64).flatten().cpu()
        )
        grid = grid.unique()
        if len(grid) == 0 or not torch.isfinite(grid).all() or grid[0] <= 0:
            raise ValueError(f"betas are {grid.tolist()}: they must be finite numbers above 0, at least one")
        equal_to = _equal_to(reference)
        kept = torch.arange(reference.num_patterns)
        if drop_duplicates and bool((equal_to >= 0).any()):
            kept = (equal_to < 0).nonzero().flatten()
            reference = reference.without((equal_to >= 0).nonzero().flatten())
        search = _Search(reference, grid, max_steps, progress or (lambda done, whole: None))
        try:
            search.certify()
            search.follow()
        except KeyboardInterrupt:
            raise SearchInterruptedError(search.result(kept, equal_to)) from None
        return search.result(kept, equal_to)


def _equal_to(memory: Memory) -> Tensor:
    _, group = torch.unique(memory.patterns, dim=0, return_inverse=True)
    group, rows = group.cpu(), torch.arange(memory.num_patterns)
    first = torch.full_like(rows, len(rows)).scatter_reduce(0, group, rows, "amin")[group]
    return torch.where(first < rows, first, -1)


class _Search:
    """The state of a search: per pattern the largest known failure and the least known success on the grid."""

    def __init__(self, memory: Memory, grid: Tensor, max_steps: int, progress: Progress) -> None:
        count = memory.num_patterns
        self.memory, self.grid, self.max_steps, self.progress = memory, grid, max_steps, progress
        self.failed = torch.full((count,), -1)
        self.stored = torch.full((count,), len(grid))
        self.retrieved = self.stored.clone()
        self.least = torch.zeros(count, dtype=torch.int64)  # below it no ball is possible
        nothing, none = torch.full((count,), torch.nan, dtype=torch.float64), self.failed
        self.known = CertifiedBalls(
            radius=nothing,
            error=nothing,
            contraction=nothing,
            nearest_distance=nothing.clone(),
            nearest=none.clone(),
            gap=nothing.clone(),
            rival=none.clone(),
        )
        self.norms = torch.cat([block.double().norm(dim=1) for block in memory.patterns.split(1 << 16)]).cpu()
        self.sample = torch.arange(count)
        if count > _ALL:
            self.sample = torch.linspace(0, count - 1, _SAMPLE).long()
        self.first = 0
        self.followed = len(grid) - 1
        self.losses: list[tuple[float, float, list[int]]] = []

    def result(self, kept: Tensor, equal_to: Tensor) -> BetaSearch:
        """Return what is known, for all patterns; ``kept`` are those that the search is about."""
        thresholds = torch.cat([self.grid, self.grid.new_tensor([torch.inf])])
        rows = torch.arange(len(equal_to))
        place = torch.zeros_like(rows)
        place[kept] = torch.arange(len(kept))
        if len(kept) < len(rows):
            place = place[torch.where(equal_to >= 0, equal_to, rows)]
        known = {name: getattr(self.known, name)[place] for name in ("nearest_distance", "nearest", "gap", "rival")}
        for name in ("nearest", "rival"):
            known[name] = torch.where(known[name] < 0, -1, kept[known[name]])
        return BetaSearch(
            betas=self.grid[self.first :],
            skipped=self.grid[: self.first],
            stored_from=thresholds[self.stored][place],
            retrieved_from=thresholds[torch.minimum(self.retrieved, self.stored)][place],
            sample=kept[self.sample],
            followed_from=float(self.grid[self.followed]),
            losses=[(low, high, kept[torch.tensor(lost)].tolist()) for low, high, lost in self.losses[::-1]],
            equal_to=equal_to,
            **known,
        )

    # --- the threshold from which on there is a ball ---

    def certify(self) -> None:
        self._settle(self.sample, lambda rows: (self.failed[rows] + self.stored[rows]) // 2)
        start = self.stored[self.sample]
        above = int((start - self.least[self.sample])[start < len(self.grid)].double().nanmedian().nan_to_num().item())
        first = int(start.median())
        rest = torch.ones_like(self.norms, dtype=torch.bool)
        rest[self.sample] = False
        self._settle(
            rest.nonzero().flatten(),
            lambda rows: torch.where(self.known.gap[rows].isnan(), first, self.least[rows] + above),
        )

    def _settle(self, rows: Tensor, guess: Callable[[Tensor], Tensor]) -> None:
        while len(rows):
            low, high = self.failed[rows] + 1, self.stored[rows] - 1
            step = torch.minimum(torch.maximum(guess(rows), low), high)
            step = torch.where(low > high, -1, step)
            rows, step = rows[step >= 0], step[step >= 0]
            if not len(rows):
                break
            k = int(step.mode().values)
            for block in rows[step == k].split(_ROWS):
                self._test(k, block)
                open_ = int((self.stored - self.failed > 1).sum())
                self.progress(len(self.failed) - open_, 2 * len(self.failed))

    def _test(self, k: int, rows: Tensor) -> None:
        memory = self.memory.at(beta=float(self.grid[k]))
        found = certified_balls(memory, rows.to(memory.patterns.device), largest=False)
        error, norms = found.error.cpu(), self.norms[rows]
        # the condition under which the term of the no-op slot falls with β
        passes = ~error.isnan() & ((memory.noop in (None, 0.0)) | (error <= norms) | (norms == 0))
        self.stored[rows[passes]] = k
        self.failed[rows[~passes]] = k
        new = rows[self.known.gap[rows].isnan()]
        if len(new):
            place = self.known.gap[rows].isnan()
            for name in ("nearest_distance", "nearest", "gap", "rival"):
                getattr(self.known, name)[new] = getattr(found, name).cpu()[place]
            self._no_ball_below(new)

    def _no_ball_below(self, rows: Tensor) -> None:
        distance, gap = self.known.nearest_distance[rows], self.known.gap[rows]
        never = (gap <= 0) | (distance == 0)
        least = torch.where(never, len(self.grid), 0)
        if isinstance(self.memory.separation, SoftmaxN):
            impossible = (
                torch.log(self.grid) + 2 * torch.log(distance.unsqueeze(1)) + 1 - self.grid * gap.unsqueeze(1) > 1e-3
            )
            # below an impossible β all are, since what is certified stays certified
            after = (impossible * torch.arange(1, len(self.grid) + 1)).amax(1)
            least = torch.maximum(least, torch.where(gap.isfinite(), after, 0))
        self.least[rows] = least
        self.failed[rows] = torch.minimum(torch.maximum(self.failed[rows], least - 1), self.stored[rows] - 1)

    # --- below it, where the iteration ends ---

    def follow(self) -> None:
        count, whole = len(self.stored), 2 * len(self.stored)
        self.retrieved = self.stored.clone()
        lost = self.known.nearest_distance == 0
        sampled = torch.zeros_like(lost)
        sampled[self.sample] = True
        full = True
        above = torch.ones(len(self.sample), dtype=torch.bool)
        for k in reversed(range(len(self.grid))):
            open_ = (self.stored > k) & (self.known.nearest_distance > 0)
            here = _Below(self.memory.at(beta=float(self.grid[k])), self.known.nearest_distance, self.max_steps)
            here.follow((open_ & sampled).nonzero().flatten())
            inside = (self.stored <= k) | here.inside
            if not bool(inside[self.sample].any()):
                self.first = k
                break
            full = full and 2 * int(inside[self.sample].sum()) >= len(self.sample)
            if full:
                self.followed = k
            else:
                lost |= open_ & ~sampled
            for rows in (open_ & ~lost & ~sampled).nonzero().flatten().split(8 * _ROWS):
                here.follow(rows)
                self.progress(count + int(lost.sum()), whole)
            here.share(open_, everything=count <= _ALL)
            inside = (self.stored <= k) | here.inside
            if k + 1 < len(self.grid):
                only_here = self.sample[inside[self.sample] & ~above]
                if len(only_here):
                    self.losses.append((float(self.grid[k]), float(self.grid[k + 1]), only_here.tolist()))
            above = inside[self.sample]
            lost |= ~inside
            self.retrieved[~lost] = k
            self.progress(count + int(lost.sum()), whole)
        self.progress(whole, whole)


class _Below:
    """Retrieval from patterns that are not certified, at one β."""

    def __init__(self, memory: Memory, nearest_distance: Tensor, max_steps: int) -> None:
        self.memory, self.half, self.max_steps = memory, 0.5 * nearest_distance, max_steps
        self.inside = torch.zeros_like(nearest_distance, dtype=torch.bool)
        self.rows: list[Tensor] = []
        self.states: list[Tensor] = []

    def follow(self, rows: Tensor) -> None:
        if not len(rows):
            return
        state, inside = endpoints(self.memory, rows, self.half[rows], self.max_steps, leave=True)
        self.inside[rows] = inside
        self.rows.append(rows[inside])
        self.states.append(state[inside])

    def share(self, open_: Tensor, *, everything: bool) -> None:
        """Take back the patterns at whose fixed point another one ends too."""
        rows = torch.cat([*self.rows, torch.zeros(0, dtype=torch.int64)])
        if not len(rows):
            return
        ends = Memory(torch.cat(self.states).double(), 1.0)
        others = open_ & ~self.inside
        if not everything:
            near = torch.zeros_like(others)
            patterns = self.memory.patterns
            squares = (patterns * patterns).sum(1)
            for block in ends.patterns.to(patterns.dtype).split(_ROWS):
                near[(squares - 2 * block @ patterns.mT).topk(3, largest=False).indices.flatten().cpu()] = True
            others &= near
        others = others.nonzero().flatten()
        if not len(others):
            return
        state, _ = endpoints(self.memory, others, self.half[others], self.max_steps, leave=False)
        met, distance = (found.cpu() for found in ends.nearest(state))
        shared = distance < 0.05 * self.half[rows[met]]
        self.inside[rows[met[shared]]] = False
