r"""Batched iteration to a fixed point :math:`x = T(x)`, plain and accelerated.

Every row iterates independently, leaves the batch when it has converged, and has its own status.
:func:`differentiable` gives a fixed point its derivative by the implicit function theorem.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from hopfield_theory.fused import kernels

__all__ = ["FixedPoint", "Status", "accelerate", "differentiable", "iterate", "iterate_many"]


class Status(enum.IntEnum):
    """How an iteration ended; ``message`` is the explanation."""

    message: str

    def __new__(cls, value: int, message: str) -> Status:
        """Make a member from its number and its message."""
        status = int.__new__(cls, value)
        status._value_, status.message = value, message
        return status

    CONVERGED = 0, "converged: the last step was no longer than the tolerance"
    STEPS_EXHAUSTED = 1, "stopped: the largest number of updates was reached before the tolerance"


@dataclass(frozen=True)
class FixedPoint:
    """Where every row of a batch ended; the leading shape is that of the start.

    Attributes
    ----------
    state : Tensor, shape (..., d)
        The last state, ``T`` of the previous one.
    steps : Tensor of int64, shape (...)
        Number of updates, including those of rejected steps.
    residual : Tensor, shape (...)
        Length of the last step, ``‖T(x) − x‖``.
    status : Tensor of int64, shape (...)
        A :class:`Status` per row.
    ambiguous : Tensor of bool, shape (...)
        Accelerated rows whose residual grew to more than twice its least earlier value. Such a path passed near a
        saddle, and the plain iteration may end at another fixed point. Always false for the plain iteration.
    """

    state: Tensor
    steps: Tensor
    residual: Tensor
    status: Tensor
    ambiguous: Tensor

    @classmethod
    def _empty(cls, start: Tensor) -> FixedPoint:
        shape, device = start.shape[:-1], start.device
        return cls(
            start.clone(),
            torch.zeros(shape, dtype=torch.int64, device=device),
            torch.full(shape, torch.inf, dtype=start.dtype, device=device),
            torch.full(shape, int(Status.STEPS_EXHAUSTED), dtype=torch.int64, device=device),
            torch.zeros(shape, dtype=torch.bool, device=device),
        )

    @property
    def converged(self) -> Tensor:
        """Whether each row converged."""
        return self.status == Status.CONVERGED


Progress = Callable[[int, int], None]


def iterate(
    update: Callable[[Tensor], Tensor],
    start: Tensor,
    tol: float,
    max_steps: int,
    progress: Progress | None = None,
) -> FixedPoint:
    r"""Iterate :math:`x_{t+1} = T(x_t)` until :math:`\|x_{t+1} - x_t\| \le` ``tol``.

    Parameters
    ----------
    update : callable
        ``T``, from states (N', d) to states (N', d), row by row.
    start : Tensor, shape (N, d)
        First states.
    tol : float
        Absolute length of a step at which a row has converged.
    max_steps : int
        Largest number of updates per row.
    progress : callable, optional
        Called after every update of the batch with the number of finished rows and of all rows.

    Examples
    --------
    >>> found = iterate(lambda x: x / 2, torch.ones(1, 1), tol=0.1, max_steps=100)
    >>> found.state, found.steps
    (tensor([[0.0625]]), tensor([4]))
    """
    found = iterate_many(lambda x: update(x[0])[None], (), start[None], tol, max_steps, progress=progress)
    return FixedPoint(*(tensor[0] for tensor in vars(found).values()))


def iterate_many(
    update: Callable[..., Tensor],
    own: tuple[Tensor, ...],
    start: Tensor,
    tol: float,
    max_steps: int,
    *,
    every: int = 1,
    progress: Progress | None = None,
) -> FixedPoint:
    r"""Iterate the rows of many problems at once; each problem has its own update.

    Parameters
    ----------
    update : callable
        From states (B', Q', d), and the rows of ``own`` for these B' problems, to states (B', Q', d).
    own : tuple of Tensor, shapes (B, ...)
        Parameters of each problem's update.
    start : Tensor, shape (B, Q, d)
        First states.
    tol, max_steps, progress
        Same as in :func:`iterate`.
    every : int
        Number of updates between two checks of the residuals; converged rows leave only then.

    Examples
    --------
    >>> rates = torch.tensor([0.5, 0.25])[:, None, None]
    >>> iterate_many(lambda x, rate: rate * x, (rates,), torch.ones(2, 1, 1), tol=0.1, max_steps=99).steps
    tensor([[4],
            [3]])
    """
    found = FixedPoint._empty(start)
    problem = torch.arange(start.shape[0], device=start.device)
    place = torch.arange(start.shape[1], device=start.device).expand(start.shape[:2])
    x = before = start
    for begun in range(0, max_steps if place.numel() else 0, every):
        done = min(begun + every, max_steps)
        for _ in range(begun, done):
            before, x = x, update(x, *own)
        residual = torch.linalg.vector_norm(x - before, dim=-1)
        moving = residual > tol
        at = problem[:, None], place
        found.state[at], found.residual[at], found.steps[at] = x, residual, done
        found.status[at] = moving.long() * int(Status.STEPS_EXHAUSTED)
        if progress is not None:
            progress(found.status.numel() - int(moving.sum()), found.status.numel())
        each = moving.sum(-1)
        # one look, for which a GPU has to wait
        most, least = torch.stack([each.amax(), each.amin()]).tolist()
        if most == 0:
            break
        if most < x.shape[1]:
            # moving states first; converged ones fill the rows of problems that have fewer
            order = torch.argsort(moving.int(), dim=-1, descending=True, stable=True)[:, :most]
            x, place = x.gather(1, order[..., None].expand(-1, -1, x.shape[-1])), place.gather(1, order)
        if least == 0:
            going = each.nonzero().squeeze(1)
            problem, place, x = problem[going], place[going], x[going]
            own = tuple(tensor[going] for tensor in own)
    return found


# Chosen on 12 memories of 4 383 random patterns (d = 16, β m² = 16), 64 queries each, near their fold
_WINDOW = 8
_TRUST = 40.0
_RELAXATION = 5.0
_SADDLE = 2.0


def accelerate(
    step: Callable[[Tensor], tuple[Tensor, Tensor]],
    start: Tensor,
    tol: float,
    max_steps: int,
    rounding: float,
    progress: Progress | None = None,
) -> FixedPoint:
    r"""Iterate to a fixed point of :math:`T = \mathrm{id} - \nabla E` in fewer updates, never raising ``E``.

    Every trial state must lower the energy by at least :math:`\tfrac12\|x - T(x)\|^2`, as the plain update does (T3);
    otherwise the plain update replaces it. So the rate and the convergence of the plain iteration (T5, T6) hold for
    this one too. Trial states come from

    * Anderson mixing over the last states, where the residual shrinks and the last step was a contraction;
    * else, after a plain step, an over-relaxed step :math:`x + \alpha(T(x) - x)` with
      :math:`\alpha \le 5`: where the residual grows, Anderson mixing would return towards a saddle.

    Parameters
    ----------
    step : callable
        From states (N', d) to ``(T(x), E(x))``, shapes (N', d) and (N',).
    start : Tensor, shape (N, d)
        First states.
    tol, max_steps, progress
        Same as in :func:`iterate`.
    rounding : float
        Absolute rounding error of an energy: smaller differences are ignored.

    References
    ----------
    Anderson 1965; Walker and Ni, SIAM J. Numer. Anal. 49 (2011).

    Examples
    --------
    >>> found = accelerate(lambda x: (0.99 * x, 0.005 * (x * x).sum(-1)), torch.ones(1, 1), 1e-6, 1000, 1e-12)
    >>> bool(found.steps < 50)  # the plain iteration takes 918
    True
    """
    found = FixedPoint._empty(start)
    max_steps = min(max_steps, 2**62)
    if max_steps < 1 or not len(start):
        return found
    active = torch.arange(start.shape[0], device=start.device)
    new, energy = step(start)
    # the state of the iteration per row; filtered together when rows leave
    rows = {
        "x": start,
        "new": new,
        "f": new - start,
        "energy": energy,
        "dx": start.new_zeros(len(start), _WINDOW, start.shape[1]),
        "df": start.new_zeros(len(start), _WINDOW, start.shape[1]),
        "depth": torch.zeros_like(active),
        "steps": torch.ones_like(active),
        "was_plain": torch.zeros_like(active, dtype=torch.bool),
        "previous": torch.full_like(energy, torch.inf, dtype=start.dtype),
        "least": torch.full_like(energy, torch.inf, dtype=start.dtype),
        "ambiguous": torch.zeros_like(active, dtype=torch.bool),
    }
    while True:
        residual = torch.linalg.vector_norm(rows["f"], dim=-1)
        rows["ambiguous"] |= residual > _SADDLE * rows["least"]
        rows["least"] = torch.minimum(rows["least"], residual)
        converged = residual <= tol
        leave = converged | (rows["steps"] >= max_steps)
        # as numbers: a mask would make a GPU wait at each of these
        gone = leave.nonzero().squeeze(1)
        if len(gone):
            kept = (~leave).nonzero().squeeze(1)
            out = active[gone]
            found.state[out] = rows["new"][gone]
            found.residual[out], found.steps[out] = residual[gone], rows["steps"][gone]
            found.ambiguous[out] = rows["ambiguous"][gone]
            found.status[out] = torch.where(converged[gone], int(Status.CONVERGED), found.status[out])
            active, residual = active[kept], residual[kept]
            rows = {name: tensor[kept] for name, tensor in rows.items()}
            if progress is not None:
                progress(start.shape[0] - len(active), start.shape[0])
        if not len(active):
            return found
        trial, sure = _trial(rows, residual)
        state, energy = step(trial)
        rows["steps"] = rows["steps"] + 1
        f = state - trial
        decrease = 0.5 * residual * residual
        accepted = sure | (energy <= rows["energy"] - decrease + rounding) & (
            # where the guaranteed decrease is below the rounding, the residual has to shrink instead
            (decrease > 32 * rounding) | (torch.linalg.vector_norm(f, dim=-1) <= residual)
        )
        refused = ~accepted & (rows["steps"] < max_steps)
        # a row that has no updates left keeps its state, which is T(x) in any case
        kept = ~accepted & ~refused
        at = refused.nonzero().squeeze(1)
        if len(at):
            plain = rows["new"][at]
            plain_state, plain_energy = step(plain)
            trial[at], energy[at] = plain, plain_energy
            state[at], f[at] = plain_state, plain_state - plain
            rows["steps"] = rows["steps"] + refused
        stays = kept.unsqueeze(1)
        trial, energy = torch.where(stays, rows["x"], trial), torch.where(kept, rows["energy"], energy)
        state, f = torch.where(stays, rows["new"], state), torch.where(stays, rows["f"], f)
        rows["dx"] = torch.cat([(trial - rows["x"]).unsqueeze(1), rows["dx"][:, :-1]], 1)
        rows["df"] = torch.cat([(f - rows["f"]).unsqueeze(1), rows["df"][:, :-1]], 1)
        rows["depth"] = torch.where(accepted, (rows["depth"] + 1).clamp_max(_WINDOW), 1)
        rows["was_plain"] = sure | ~accepted
        rows["x"], rows["new"], rows["f"], rows["energy"], rows["previous"] = trial, state, f, energy, residual


def _trial(rows: dict[str, Tensor], residual: Tensor) -> tuple[Tensor, Tensor]:
    """Trial states, and which of them are plain updates, which need no test."""
    x, f, dx, df = rows["x"], rows["f"], rows["dx"], rows["df"]
    if x.is_cuda and kernels.available():
        from hopfield_theory.fused.kernels import mixing

        if mixing.takes(x):
            return mixing.trial_states(rows, residual, _TRUST, _RELAXATION)
    tiny = torch.finfo(x.dtype).tiny
    last = dx[:, 0]
    # Rayleigh quotient of T's Jacobian along the last step
    contraction = 1 + (last * df[:, 0]).sum(-1) / (last * last).sum(-1).clamp_min(tiny)
    begun = rows["depth"] >= 1

    coefficients = _least_squares(df, f, torch.arange(_WINDOW, device=x.device) < rows["depth"].unsqueeze(1))
    move = f - (coefficients.unsqueeze(-1) * (dx + df)).sum(1)
    length = torch.linalg.vector_norm(move, dim=-1)
    move = move * (_TRUST * residual / length.clamp_min(tiny)).clamp_max(1.0).unsqueeze(-1)
    mixed = begun & (residual < rows["previous"]) & (contraction < 1) & ((move * f).sum(-1) > 0)

    factor = torch.where(contraction < 1, 1 / (1 - contraction).clamp_min(0.1 / _RELAXATION), torch.inf)
    factor = factor.clamp(1.0, _RELAXATION)
    relaxed = begun & ~mixed & rows["was_plain"] & (factor > 1)

    trial = torch.where(mixed.unsqueeze(-1), x + move, x + factor.unsqueeze(-1) * f)
    sure = ~(mixed | relaxed)
    # not x + f, which loses T(x) where x is far longer
    return torch.where(sure.unsqueeze(-1), rows["new"], trial), sure


def _least_squares(df: Tensor, f: Tensor, valid: Tensor) -> Tensor:
    """``argmin_γ ‖f − Σ γ_i df_i‖`` over the valid differences, unit columns, slightly regularised.

    By Gram and Schmidt's method, modified, with f as a last column: as stable as Householder's QR for least squares
    (Björck 1967), and a few operations on the whole batch, where a batched QR takes the rows one by one.
    """
    dtype = df.dtype
    # PyTorch solves no triangular systems in the half types
    df, f = (tensor.to(torch.promote_types(dtype, torch.float32)) for tensor in (df, f))
    norms = torch.where(valid, torch.linalg.vector_norm(df, dim=-1), 1.0)
    norms = torch.where(norms > 0, norms, 1.0)
    columns = torch.where(valid.unsqueeze(-1), df / norms.unsqueeze(-1), 0.0)
    window = df.shape[1]
    ridge = torch.finfo(df.dtype).eps ** 0.625
    # the columns and f, each as a row, on top of the ridge's
    rest = torch.nn.functional.pad(torch.cat([columns, f.unsqueeze(1)], 1), (0, window))
    rest[:, :window, -window:] = ridge * torch.eye(window, dtype=df.dtype, device=df.device)
    triangle = df.new_zeros(len(df), window, window + 1)
    for index in range(window):
        length = torch.linalg.vector_norm(rest[:, index], dim=-1)
        unit = rest[:, index] / length.unsqueeze(-1)
        triangle[:, index, index] = length
        triangle[:, index, index + 1 :] = (rest[:, index + 1 :] * unit.unsqueeze(1)).sum(-1)
        rest[:, index + 1 :] -= triangle[:, index, index + 1 :].unsqueeze(-1) * unit.unsqueeze(1)
    solution = torch.linalg.solve_triangular(triangle[..., :window], triangle[..., window:], upper=True)
    return (solution.squeeze(-1) / norms).to(dtype)


def differentiable(update: Callable[[Tensor], Tensor], state: Tensor, tol: float = 1e-6) -> Tensor:
    r"""Give a fixed point :math:`x = T_\theta(x)` its derivative for :math:`\theta`; how it was found does not matter.

    By the implicit function theorem :math:`\mathrm{d}x = (I - J)^{-1}\,\partial_\theta T\,\mathrm{d}\theta`, with J the
    Jacobian at x. The backward pass solves :math:`(I - J)\,u = g` by conjugate gradients, row by row, with products
    with J; it needs the memory of one update.

    Parameters
    ----------
    update : callable
        ``T``, from states (..., d) to states (..., d), row by row, with a symmetric Jacobian of norm below 1, as at
        every attracting fixed point; differentiable in its state and in the tensors it closes over.
    state : Tensor, shape (..., d)
        A fixed point. Its history is not differentiated.
    tol : float
        Relative residual at which the system of a row counts as solved.

    Returns
    -------
    Tensor, shape (..., d)
        ``T(x)``.

    Examples
    --------
    The fixed point of :math:`x = x/2 + \theta` is :math:`2\theta`.

    >>> theta = torch.ones(1, requires_grad=True)
    >>> differentiable(lambda x: x / 2 + theta, torch.full((1,), 2.0)).backward()
    >>> theta.grad
    tensor([2.])
    """
    state = state.detach()
    fixed = update(state)
    if fixed.requires_grad:
        with torch.enable_grad():
            around = state.clone().requires_grad_()
            image = update(around)

        def product(u: Tensor) -> Tensor:
            return torch.autograd.grad(image, around, u, retain_graph=True)[0]

        fixed.register_hook(lambda gradient: _conjugate_gradients(product, gradient, tol))
    return fixed


def _conjugate_gradients(product: Callable[[Tensor], Tensor], right: Tensor, tol: float) -> Tensor:
    """Solve ``u - J u = g`` for every row."""
    solution, residual = torch.zeros_like(right), right
    direction, square = residual, (residual * residual).sum(-1, keepdim=True)
    enough = tol * tol * square
    for _ in range(2 * right.shape[-1] + 1):
        active = square > enough
        if not active.any():
            break
        image = direction - product(direction)
        curvature = (direction * image).sum(-1, keepdim=True)
        # a row stops if it is solved, or if its Jacobian is not below 1 in this direction
        length = torch.where(active & (curvature > 0), square / curvature.clamp(min=torch.finfo(right.dtype).tiny), 0.0)
        solution = solution + length * direction
        residual = residual - length * image
        before, square = square, (residual * residual).sum(-1, keepdim=True)
        direction = (
            residual + torch.where(active, square / before.clamp(min=torch.finfo(right.dtype).tiny), 0.0) * direction
        )
    return solution
