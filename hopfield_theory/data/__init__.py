"""Patterns: random ensembles, files, corruption."""

import lazy_loader

# the seeds of this package are used without torch too
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, ["corruption"])
