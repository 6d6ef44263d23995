"""Evaluate statements on instances: which hold, by what margin, where; ball arithmetic decides the worst."""

from __future__ import annotations

import dataclasses
import enum
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from scipy import stats
from torch import Tensor

from hopfield_theory._sentences import Told
from hopfield_theory.data.seeds import derived_seed
from hopfield_theory.statements.statement import Calculation, Experiment, Implication, Kind, Statement, Trend
from hopfield_theory.verification import ball_arithmetic, capacity_enclosures
from hopfield_theory.verification.counterexamples import Counterexample
from hopfield_theory.verification.instances import Batch, Draws
from hopfield_theory.verification.search import SHAPES, Effort, attacks, slacks

__all__ = ["Outcome", "PartResult", "Verdict", "attacked", "check", "slack_text", "tolerance"]

# of each part, so many instances of least slack are decided in balls whatever floats say
_ALWAYS_DECIDED = 4
# and so many of those that floats call violated
_MOST_DECIDED = 24
# and so many for which floats have no number
_LOST_DECIDED = 8
# the highest precision, and the slack that counts as zero at it
_BITS, _ZERO = 1024, 1e-30
# an experiment contradicts a bound if it would do so by chance less than once in a million
_CONFIDENCE = 1 - 1e-6
_UNIT = 2.0**-53


class Outcome(enum.StrEnum):
    """The outcome of a check."""

    HOLDS = "holds"
    CONSISTENT = "consistent"
    UNDECIDED = "undecided"
    CONTRADICTED = "contradicted"
    FALSIFIED = "falsified"


_SEVERITY = list(Outcome)
_SAID = {
    Outcome.HOLDS: "holds on all {count} instances",
    Outcome.CONSISTENT: "is consistent with all that was measured",
    Outcome.CONTRADICTED: "is contradicted by what was measured, as expected",
}


@dataclass(frozen=True)
class PartResult:
    """The result of a check for one part of a statement.

    Attributes
    ----------
    instances : int
        Number of instances that meet the hypotheses; of memories for an experiment; 1 for a trend or a
        calculation.
    smallest_slack : float
        For an experiment, the distance of the one-sided bound on the frequency from the claim, positive on the claim's
        side; if the frequency is not counted but estimated, in units of the claimed probability.
    where : str
        The instance of the smallest slack, or the first that could not be decided, or what was counted.
    starts, attacked_slack
        Number of starts of searches for a smaller slack, and the smallest slack found; NaN without a search.
    """

    name: str
    outcome: Outcome
    instances: int
    smallest_slack: float
    where: str
    counterexample: Counterexample | None = None
    starts: int = 0
    attacked_slack: float = math.nan

    def joined(self, attack: PartResult) -> PartResult:
        """Return the combined result of drawn instances and an attack."""
        graver = max(attack, self, key=lambda part: _SEVERITY.index(part.outcome))
        least = min(self, attack, key=lambda part: part.smallest_slack)
        shown = graver if graver.outcome is Outcome.UNDECIDED else least
        return dataclasses.replace(
            attack,
            outcome=graver.outcome,
            instances=self.instances + attack.instances,
            smallest_slack=least.smallest_slack,
            where=shown.where,
            # the search begins with the smallest memories
            counterexample=attack.counterexample or self.counterexample,
        )


@dataclass(frozen=True, repr=False)
class Verdict(Told):
    """The result of a check for a statement, with the identities proved by computer algebra, if requested."""

    statement: Statement
    parts: tuple[PartResult, ...]
    derivation: str | None = None
    enclosures: tuple[capacity_enclosures.Enclosure, ...] = ()

    @property
    def worst(self) -> PartResult:
        """The part with the gravest outcome, and among those the smallest slack."""
        return max(self.parts, key=lambda part: (_SEVERITY.index(part.outcome), -part.smallest_slack))

    @property
    def outcome(self) -> Outcome:
        """The gravest of the parts' outcomes; at best undecided if an enclosure does not decide its bound."""
        proved = all(enclosure.decided for enclosure in self.enclosures)
        return max(self.worst.outcome, Outcome.HOLDS if proved else Outcome.UNDECIDED, key=_SEVERITY.index)

    @property
    def instances(self) -> int:
        """Number of instances and memories to which the parts applied, over all parts."""
        return sum(part.instances for part in self.parts)

    @property
    def starts(self) -> int:
        """Number of starts of searches for a smaller slack, over all parts."""
        return sum(part.starts for part in self.parts)

    @property
    def attacked_slack(self) -> float:
        """The smallest slack that those searches found; NaN without any."""
        return min((part.attacked_slack for part in self.parts if part.starts), default=math.nan)

    @property
    def as_expected(self) -> bool:
        """Whether a false claim failed in each of its readings, or any other statement in none.

        A claim fails by a counterexample or, if it is about probabilities, by a frequency; what is left undecided is
        never expected.
        """
        if self.statement.is_false:
            return all(part.outcome in (Outcome.FALSIFIED, Outcome.CONTRADICTED) for part in self.parts)
        return self.outcome in (Outcome.HOLDS, Outcome.CONSISTENT)

    def lines(self) -> list[str]:
        """Return what is worth a word (:meth:`findings`), or else that the statement holds, in sentences."""
        if findings := self.findings():
            return findings
        said = _SAID[self.outcome].format(count=self.instances)
        if self.statement.kind is Kind.ARITHMETIC and self.outcome is Outcome.HOLDS:
            said = "follows from the published numbers"
        return [f"{self.statement.name} {said}: {self.statement.claim}"]

    def findings(self) -> list[str]:
        """Return the counterexample, and what was not expected, in sentences; none for a statement that holds."""
        statement, worst, said = self.statement, self.worst, []
        if worst.counterexample is not None:
            said += [f"{statement.name} is false: {statement.claim}", *worst.counterexample.lines()]
            said += [f"What holds: {', '.join(statement.instead)}."] * bool(statement.instead)
        # that a claim of one's own is false has been said
        if not self.as_expected and not (statement.proof == "open" and worst.counterexample):
            expected = "a counterexample" if statement.is_false else "no contradiction"
            slack = "" if worst.outcome is Outcome.UNDECIDED else f", slack {slack_text(worst.smallest_slack)}"
            said.append(
                f"{statement.name}: {expected} was expected, and it is {self.outcome.value} "
                f"({worst.name}: {worst.where}{slack})"
            )
        return said


def slack_text(slack: float) -> str:
    """Return a slack to two digits; a dash if there is none."""
    if math.isnan(slack):
        return "–"
    return "0" if slack == 0 else f"{slack:.1e}"


def check(
    statements: Iterable[Statement],
    batches: Draws | Sequence[Batch],
    seed: int,
    *,
    full: bool = False,
    progress: Callable[[int, int], None] = lambda done, whole: None,
) -> list[Verdict]:
    """Check all parts of statements.

    Implications are checked on the batches, which are passed through once; experiments draw their memories from the
    seed, more of them if the check is ``full``. What ``progress`` raises ends the check.

    Examples
    --------
    >>> from hopfield_theory.statements.registry import chosen
    >>> from hopfield_theory.verification.instances import Draws
    >>> [verdict] = check(chosen(["T8"]), Draws(0, 110), 0)
    >>> verdict.outcome.value, verdict.as_expected
    ('holds', True)
    """
    watched = [(s, [_Watched(s, part) for part in s.parts if isinstance(part, Implication)]) for s in statements]
    pointwise = [(s, parts) for s, parts in watched if parts]
    whole = len(batches) * len(pointwise) + sum(len(s.parts) for s, _ in watched)
    steps = itertools.count()
    for batch in batches if pointwise else ():
        for _, parts in pointwise:
            progress(next(steps), whole)
            count = batch.values["patterns"].shape[1]
            speaking = [watch for watch in parts if watch.part.speaks_of(count)]
            for watch, (hypotheses, conclusion) in zip(
                speaking, slacks([watch.part for watch in speaking], batch.values), strict=True
            ):
                watch.see(batch, hypotheses, conclusion)
    verdicts = []
    for statement, parts in watched:
        seen, results = iter(parts), []
        for part in statement.parts:
            done = next(steps)
            progress(done, whole)
            if isinstance(part, Implication):
                results.append(next(seen).result(lambda done=done: progress(done, whole)))
            elif isinstance(part, Experiment):
                results.append(_measured(part, seed, part.trials[full]))
            elif isinstance(part, Calculation):
                results.append(_calculated(part))
            else:
                results.append(_followed(part))
        verdicts.append(Verdict(statement, tuple(results)))
    progress(whole, whole)
    return verdicts


def attacked(
    statement: Statement,
    part: Implication,
    seed: int,
    effort: Effort,
    device: str = "cpu",
    progress: Callable[[int, int], None] = lambda done, whole: None,
) -> PartResult:
    """Attack one part of a statement, until a counterexample is certified or all shapes have been searched.

    The instances of the result are the starts from which instances were reached that meet the hypotheses. What
    ``progress`` raises ends the attack.

    Examples
    --------
    >>> from hopfield_theory.statements.registry import STATEMENTS
    >>> claim = STATEMENTS["P14"]
    >>> result = attacked(claim, claim.parts[0], 0, Effort(16, 10, 10))
    >>> result.outcome.value, len(result.counterexample.values["patterns"])
    ('falsified', 1)
    """
    starts, seen = 0, []
    for batch in attacks(part, derived_seed(seed, statement.name, part.name), effort, device):
        starts += len(batch)
        watch = _Watched(statement, part)
        watch.see(batch, *slacks([part], batch.values)[0])
        progress(len(seen), len(SHAPES))
        seen.append(watch.result(lambda: progress(len(seen), len(SHAPES))))
        if seen[-1].outcome is Outcome.FALSIFIED:
            break
    # a shape at which no start led to where the part speaks says nothing, unless all are such
    spoken = [result for result in seen if result.instances] or seen
    worst = max(spoken, key=lambda result: (_SEVERITY.index(result.outcome), -result.smallest_slack))
    return dataclasses.replace(
        worst,
        instances=sum(result.instances for result in seen),
        starts=starts,
        attacked_slack=worst.smallest_slack,
    )


def tolerance(batch: Batch) -> Tensor:
    """Bound the rounding of slacks in floats, shape (B,): a larger violation is not rounding.

    Scores carry ``(d + 2)`` roundings of their largest size ``β m max(m, ‖x‖)``; a weight repeats that relatively, a
    sum over patterns adds M of it, and logarithms of n and M enter energies; a slack has a few such terms.
    """
    v = batch.values
    _, count, dim = v["patterns"].shape
    m = v["patterns"].norm(dim=-1).amax(-1)
    reach = torch.stack([m, v["query"].norm(dim=-1), v["other"].norm(dim=-1)]).amax(0)
    size = 1 + v["beta"] * m * reach + torch.where(v["noop"] > 0, v["noop"], 1.0).log().abs() + math.log(count)
    return 32 * (count + dim + 4) * _UNIT * size


@dataclass(frozen=True)
class _Candidate:
    """An instance of small slack: in units of rounding, as it is, its numbers, and what it is."""

    excess: float
    slack: float
    values: dict[str, Any]
    where: str


class _Watched:
    """An implication during a check: the number of instances to which it applied, and the worst of them."""

    def __init__(self, statement: Statement, part: Implication) -> None:
        self._statement, self.part = statement, part
        self._tried, self._least, self._where = 0, math.inf, "no instance meets the hypotheses"
        self._candidates: list[_Candidate] = []
        self._lost: list[_Candidate] = []

    def see(self, batch: Batch, hypotheses: Tensor, conclusion: Tensor) -> None:
        speaks = (hypotheses > 0).all(-1)
        # let ball arithmetic also decide instances that overflowed or are undefined in floats
        lost = speaks & (conclusion.isnan() | (conclusion == -math.inf))
        for index in lost.nonzero()[: _LOST_DECIDED - len(self._lost), 0].tolist():
            values = batch.values_at(index, self.part.uses)
            self._lost.append(_Candidate(-math.inf, -math.inf, values, batch.describe(index)))
        speaks = speaks & ~lost
        allowed = tolerance(batch)
        self._tried += int(speaks.sum())
        clear = torch.where(speaks & (conclusion > allowed), conclusion, math.inf)
        self._note(clear.min().item(), lambda: batch.describe(int(clear.argmin())))
        # the least in units of rounding: where β is extreme, rounding alone outweighs real violations elsewhere
        excess = torch.where(speaks, conclusion / allowed, math.inf)
        worst = self._candidates[-1].excess if len(self._candidates) == _MOST_DECIDED else math.inf
        for index in excess.argsort(stable=True)[:_MOST_DECIDED].tolist():
            if not excess[index] < worst:
                break
            values = batch.values_at(index, self.part.uses)
            where = batch.describe(index)
            self._candidates.append(_Candidate(excess[index].item(), conclusion[index].item(), values, where))
        self._candidates = sorted(self._candidates, key=lambda c: c.excess)[:_MOST_DECIDED]

    def result(self, tick: Callable[[], None]) -> PartResult:
        part, unsettled, open_at = self.part, self._tried == 0, ""
        violated = sum(candidate.excess < -1 for candidate in self._candidates)
        for candidate in [*self._candidates[: max(_ALWAYS_DECIDED, violated)], *self._lost]:
            tick()
            decision = ball_arithmetic.decide(part, candidate.values, _BITS)
            if decision.falsifies:
                found = Counterexample.shrunk(self._statement, part, candidate.values)
                return PartResult(part.name, Outcome.FALSIFIED, self._tried, candidate.slack, candidate.where, found)
            if any(h.met is False for h in decision.hypotheses):
                continue
            low = float(decision.conclusion.low)
            # an identity cannot be decided true: its enclosure shrinks around zero
            low = 0.0 if abs(low) < _ZERO else low
            if decision.settled or low == 0.0:
                self._note(low, lambda candidate=candidate: candidate.where)
            elif candidate.excess < -1:
                unsettled, open_at = True, open_at or candidate.where
        outcome = Outcome.UNDECIDED if unsettled else Outcome.HOLDS
        where = "on no instance is the slack a number" if self._lost and not self._tried else open_at or self._where
        return PartResult(part.name, outcome, self._tried, self._least, where)

    def _note(self, slack: float, where: Callable[[], str]) -> None:
        if slack < self._least:
            self._least, self._where = slack, where()


def _measured(part: Experiment, seed: int, trials: int) -> PartResult:
    found, claimed = part.measure(seed, trials, _CONFIDENCE), part.probability()
    sign = "≥" if part.at_least else "≤"
    if isinstance(found, int):
        interval, unit = stats.binomtest(found, trials).proportion_ci(1 - 2 * (1 - _CONFIDENCE), "exact"), 1.0
        said = f"{found} of {trials}, claimed {sign} {claimed:g}"
    else:
        interval, unit = found, claimed
        seen = f"{found.estimate:.3g} [{found.low:.3g}, {found.high:.3g}]"
        said = f"{seen} from {trials} memories, claimed {sign} {claimed:.3g}"
    slack = interval.high / unit - claimed / unit if part.at_least else claimed / unit - interval.low / unit
    return PartResult(part.name, _consistent(slack), trials, slack, said)


def _consistent(slack: float) -> Outcome:
    return Outcome.CONSISTENT if slack >= 0 else Outcome.CONTRADICTED


def _followed(part: Trend) -> PartResult:
    slack = part.slack()
    return PartResult(part.name, _consistent(slack), 1, slack, part.name)


def _calculated(part: Calculation) -> PartResult:
    (low, high), claimed = part.interval(), part.at_least
    fails = high < claimed
    outcome = Outcome.CONTRADICTED if fails else Outcome.HOLDS if low >= claimed else Outcome.UNDECIDED
    outward = f"[{math.floor(low * 10**5) / 10**5}, {math.ceil(high * 10**5) / 10**5}]"
    said = f"in {outward}, claimed ≥ {float(claimed):g}"
    return PartResult(part.name, outcome, 1, float((high if fails else low) - claimed), said)
