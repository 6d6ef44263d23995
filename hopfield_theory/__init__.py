"""Modern Hopfield models: retrieval, certificates of storage and the theory behind them.

Names are loaded when they are first used, so that ``import hopfield_theory.bounds`` never loads torch. They are listed
in the stub ``__init__.pyi``.
"""

from typing import Any

import lazy_loader

from hopfield_theory._version import version

_lazy, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    return version() if name == "__version__" else _lazy(name)
