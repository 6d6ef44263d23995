"""Why each statement holds, or why a claim fails, in a few sentences; long proofs are named by where they stand."""

from __future__ import annotations

__all__ = ["PROOFS"]

_BOUNDS, _RETRIEVAL = "The whole proof: docs/bounds-proofs.md.", "The whole proof: docs/retrieval-proofs.md."

PROOFS: dict[str, str] = {
    "T1": "Every score is at most βm‖x‖, so lse_n ≤ m‖x‖ + β⁻¹ log(n e^{−βm‖x‖} + M) and E ≥ ½(‖x‖ − m)². On the "
    "ball every "
    "score is at least −βm², and ½‖x‖² ≤ ½m²; M equal patterns at x = −ξ attain the bound.",
    "T2": "∇lse_n(β, Ξx) = Ξᵀ softmax_n(βΞx) = T(x). The energy is ½‖x‖² minus a convex function whose Hessian J "
    "lies "
    "between 0 and βD²/4 (T7), which bounds its remainder between two points from both sides.",
    "T3": "Insert T = x − ∇E into the difference of energies. What the tangent of lse_n at x leaves at T(x) is the "
    "Bregman "
    "divergence of lse_n, which is β⁻¹ KL(p(x) ‖ p(Tx)) ≥ 0.",
    "T4": "T(x) is an average of the patterns and, with weight p₀, of the origin. The norm is convex.",
    "T5": "Sum T3 over τ steps: ½ Σ ‖x_{t+1} − x_t‖² ≤ E(x_0) − E(x_τ); the least term is at most the mean. E ≥ 0 "
    "by T1.",
    "T6": "E is real analytic, descends sufficiently (T3), its gradient is the step, and orbits are bounded (T4): "
    "the theorem "
    "of Absil, Mahony and Andrews gives convergence to one point. Where ‖J‖ ≤ L < 1, E is (1 − L)-strongly "
    "convex, which "
    "bounds the length of the path by its fall.",
    "T7": "Differentiate softmax_n. A variance along a direction is at most a quarter of the squared range "
    "(Popoviciu), and "
    "at most the second moment about ξ_μ: 4m² for the other patterns, m² for the slot at 0.",
    "T8": "1 − p₀ = S/(S + n) = σ(log S − log n), and T_n = (1 − p₀) T_0.",
    "T9": "T_n(x) − ξ_μ = Σ p_ν (ξ_ν − ξ_μ) − p₀ ξ_μ, of norm at most m(2Σ p_ν + p₀). Then p_ν/p_μ ≤ e^{−βδ} and "
    "p₀/p_μ = B; both bounds increase in these ratios.",
    "T10": "Expand both squares with T_n = s T_0.",
    "T11": "The bounds are those of T9 for both memories; subtract them, and collect S_out.",
    "T12": "On the ball, ⟨ξ − ξ_ν, x⟩ ≥ Δ − 2mR and ⟨ξ, x⟩ ≥ ‖ξ‖² − mR. T9 maps the ball into itself, T7 contracts "
    "it, Banach's "
    "theorem gives the fixed point. R ≤ m and ε(R) ≤ R force Δ > 2mR, hence disjoint balls.",
    "T13": "‖x − x*‖ ≤ ‖x − Tx‖ + ‖Tx − Tx*‖ ≤ ‖x − Tx‖ + L‖x − x*‖.",
    "T14": "‖T_n‖ ≤ (1 − p₀) m with 1 − p₀ = S/(S + n), S ≤ M e^s; and S ≥ M e^z̄ by convexity.",
    "T15": "The Jacobian of softmax_n is diag(p) − ppᵀ; along v it is a variance of numbers in v, at most ½‖v‖² "
    "(¼ for one pattern and the slot).",
    "T16": _RETRIEVAL,
    "T17": "Subtract the energies; see docs/retrieval-proofs.md.",
    "T18": _RETRIEVAL,
    "T19": _RETRIEVAL,
    "C1": "Ramsauer et al. 2021, for large κ. It is false for κ < 1 (T7: one fixed point).",
    "C2": "T12 holds for every pattern if all pairs are apart by the gap; the union bound sums the pairs that are not.",
    "C3": _BOUNDS,
    "C4": "C3 from below and C7 from above have the exponent α₁; docs/bounds-proofs.md.",
    "C5": "A heuristic: the crowd acts through its mean, and the transverse part is dropped.",
    "C6": _BOUNDS,
    "C7": _BOUNDS,
    "C8": _BOUNDS,
    "P1": "One pattern is retrieved exactly without the slot, and with an error m p₀ with it.",
    "P2": "One pattern again: the slot draws its fixed point towards 0.",
    "P3": "An outlier that the query does not meet takes less weight than the slot that replaces it.",
    "P4": "The bounds differ by the sign of S − 2a (T11 with S_out = 0).",
    "P5": "It fails wherever S_out is below the threshold of T11.",
    "P6": "T9 adds m n e^{−β⟨ξ,x⟩}, which no gap makes small.",
    "P7": "T3.",
    "P8": "T5; T6 for the whole sequence.",
    "P9": "For κ < 1 the update contracts the whole space to one fixed point (T7), and the bound promises patterns "
    "there.",
    "P10": _RETRIEVAL,
    "P11": _RETRIEVAL,
    "P12": _RETRIEVAL,
    "P13": "T1 with n = 0.",
    "P14": "½‖x‖² outgrows every bound.",
    "P15": "Sparsemax commits to the pattern that overlaps most, which may be another.",
    "P16": "Softmax balances rivals on opposite sides of the pattern, of which sparsemax keeps one.",
    "P17": _RETRIEVAL,
    "P18": "Away from the pattern the overlaps of the query with the others count, not those of the patterns.",
    "P19": "T17: it fails wherever S > M.",
    "P20": "log(n + S) ≥ log S.",
    "P21": "Where the dense answer overshoots, a shorter one is closer (T10).",
    "P22": "A longer pattern beside the first draws the dense answer beyond it (T10).",
    "P23": "A crowd of other patterns may draw the orbit past the nearest one.",
    "P24": "The certificate is sufficient, not necessary.",
    "P25": "At small β the pattern profits from patterns on both sides; at larger β it goes to one of them.",
    "P26": "A pattern on the other side balances one that draws.",
}
"""By the names of the statements."""
