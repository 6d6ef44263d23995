"""Modern Hopfield models: retrieval, certificates of storage and the theory behind them.

Names are loaded when they are first used, so that ``import hopfield_theory.bounds`` never loads torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hopfield_theory import bounds as bounds
    from hopfield_theory import corruption as corruption
    from hopfield_theory import statistics as statistics
    from hopfield_theory.beta_search import BetaSearch as BetaSearch
    from hopfield_theory.beta_search import find_beta as find_beta
    from hopfield_theory.certificate import Certificate as Certificate
    from hopfield_theory.certificate import Storage as Storage
    from hopfield_theory.certificate import certify as certify
    from hopfield_theory.certificate import guaranteed as guaranteed
    from hopfield_theory.fixed_point import Status as Status
    from hopfield_theory.memory import Memory as Memory
    from hopfield_theory.pattern_files import digits as digits
    from hopfield_theory.pattern_files import open_patterns as open_patterns
    from hopfield_theory.patterns import Gaussian as Gaussian
    from hopfield_theory.patterns import Rademacher as Rademacher
    from hopfield_theory.patterns import RandomPatterns as RandomPatterns
    from hopfield_theory.patterns import Sphere as Sphere
    from hopfield_theory.patterns import SpikedCovariance as SpikedCovariance
    from hopfield_theory.retrieval import Retrieval as Retrieval
    from hopfield_theory.retrieval import retrieve as retrieve
    from hopfield_theory.separation import Entmax as Entmax
    from hopfield_theory.separation import SoftmaxN as SoftmaxN
    from hopfield_theory.separation import lse_n as lse_n
    from hopfield_theory.separation import softmax_n as softmax_n
    from hopfield_theory.verification.check import Verdict as Verdict
    from hopfield_theory.verification.suite import verify as verify

__version__ = "0.1.0"

_MODULES = ["bounds", "corruption", "statistics"]
_HOMES = {
    "separation": ["Entmax", "SoftmaxN", "lse_n", "softmax_n"],
    "fixed_point": ["Status"],
    "patterns": [
        "Gaussian",
        "Rademacher",
        "RandomPatterns",
        "Sphere",
        "SpikedCovariance",
    ],
    "pattern_files": ["digits", "open_patterns"],
    "memory": ["Memory"],
    "retrieval": ["Retrieval", "retrieve"],
    "certificate": ["Certificate", "Storage", "certify", "guaranteed"],
    "beta_search": ["BetaSearch", "find_beta"],
    "verification.check": ["Verdict"],
    "verification.suite": ["verify"],
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_MODULES, *_HOME]  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
