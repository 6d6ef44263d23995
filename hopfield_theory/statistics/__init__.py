"""Intervals for rates, for statistics of samples and for thresholds; without torch.

Arguments of a wrong type raise TypeError, arguments out of range ValueError.
"""

from hopfield_theory.statistics.intervals import Interval, bootstrap, cluster_bootstrap, wilson
from hopfield_theory.statistics.logistic import LogisticFit, logistic_fit

__all__ = ["Interval", "LogisticFit", "bootstrap", "cluster_bootstrap", "logistic_fit", "wilson"]
