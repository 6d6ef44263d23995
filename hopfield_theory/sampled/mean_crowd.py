"""The mean crowd: the mean contribution of the undrawn patterns to the partition sum, as a function of the state."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hopfield_theory import _arguments
from hopfield_theory.bounds import sphere
from hopfield_theory.sampled.overlaps import OverlapLaw

__all__ = ["MeanCrowd"]

# Cubic pieces of log Ψ between these places, in units of max(z, 1), are accurate to 1e-12.
_PER_UNIT, _PER_OCTAVE = 128, 256


class MeanCrowd:
    r"""Mean of :math:`e^{\kappa\langle\xi, x\rangle}` over patterns of overlap t < τ with the target, and its gradient.

    A state has the part a along the target and a part of length b across it. A pattern of overlap t has a part of
    length :math:`\sqrt{1 - t^2}` across the target in an isotropic direction, so that

    .. math:: g(a, b) = \mathrm E\bigl[e^{\kappa a t}\,\Psi_{d-1}(\kappa b\sqrt{1 - t^2})\bigm| t < \tau\bigr],

    a quadrature over t, with :math:`\Psi_{d-1}` of :func:`hopfield_theory.bounds.sphere.log_mgf` from a table. Its
    nodes are chosen for states near the target: within 0.3 of its direction ``log g`` is accurate to 1e-9; far from it
    and at large κ only to 1e-2.

    Parameters
    ----------
    law : OverlapLaw
        The law of the sphere, dimension d at least 3.
    log_share : float, below 0
        Logarithm of the tail probability of τ.
    kappa : float, above 0
        κ, for patterns of norm 1.
    device : str
        Device of the states.

    Examples
    --------
    >>> from hopfield_theory.sampled.overlaps import overlap_law
    >>> crowd = MeanCrowd(overlap_law("sphere", 3), log_share=-40.0, kappa=2.0)
    >>> log_mean, along, across = crowd(torch.full((1,), 0.6).double(), torch.full((1,), 0.8).double())
    >>> round(float(log_mean), 6), round(float((along**2 + across**2).sqrt()), 6)  # log(sinh 2/2), coth 2 - 1/2
    (0.59522, 0.537315)
    """

    def __init__(self, law: OverlapLaw, log_share: float, kappa: float, device: str = "cpu") -> None:
        _arguments.integer("dim", law.dim, 3)
        self._kappa = _arguments.positive("kappa", kappa)
        # twice κ, for the mean square
        t, square_across, log_weight = law.below(log_share, 2.0 * kappa)
        self._along = torch.tensor(t, device=device)
        self._across = torch.tensor(np.sqrt(square_across), device=device)
        self._log_weight = torch.tensor(log_weight, device=device)
        most = max(4.0 * kappa, 2.0)
        unit = np.linspace(0.0, 1.0, _PER_UNIT, endpoint=False)
        beyond = np.geomspace(1.0, most, 2 + int(_PER_OCTAVE * np.log2(most)))
        places = np.concatenate([unit, beyond])
        self._places = torch.tensor(places, device=device)
        self._values = torch.tensor(sphere.log_mgf(places, law.dim - 1), device=device)
        self._slopes = torch.tensor(sphere.bessel_ratio(places, law.dim - 1), device=device)

    def __call__(self, along: Tensor, across: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return ``log g`` and the parts along and across of ``∇g/(κ g)``.

        Parameters
        ----------
        along, across : Tensor, shape (B,), float64
            a and ``b >= 0``, with ``a² + b² <= 1``. The three results have the same shape.
        """
        log_psi, slope = self._log_psi(self._kappa * across[:, None] * self._across)
        exponent = self._log_weight + self._kappa * along[:, None] * self._along + log_psi
        log_mean = torch.logsumexp(exponent, 1)
        share = (exponent - log_mean[:, None]).exp()
        return log_mean, share @ self._along, (share * slope) @ self._across

    def log_square(self, along: Tensor, across: Tensor) -> Tensor:
        r"""Return the logarithm of the mean of :math:`e^{2\kappa\langle\xi, x\rangle}`, shape (B,)."""
        log_psi, _ = self._log_psi(2.0 * self._kappa * across[:, None] * self._across)
        return torch.logsumexp(self._log_weight + 2.0 * self._kappa * along[:, None] * self._along + log_psi, 1)

    def _log_psi(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Interpolate by Hermite cubics; also return their derivative."""
        at = torch.searchsorted(self._places, z, right=True).clamp_(1, len(self._places) - 1)
        left, right = self._places[at - 1], self._places[at]
        width = right - left
        s = (z - left) / width
        low, high = self._values[at - 1], self._values[at]
        begins, ends = width * self._slopes[at - 1], width * self._slopes[at]
        rise = high - low
        value = low + s * (begins + s * (3.0 * rise - 2.0 * begins - ends + s * (begins + ends - 2.0 * rise)))
        slope = begins + s * (2.0 * (3.0 * rise - 2.0 * begins - ends) + 3.0 * s * (begins + ends - 2.0 * rise))
        return value, slope / width
