"""Softmax_n attention for models: functions, layers, baselines, transformers, outlier metrics, quantisation."""

from hopfield_theory.attention.baselines import AttentionGate, clipped_attention, clipped_weights
from hopfield_theory.attention.functional import softmax_n_attention, softmax_n_weights
from hopfield_theory.attention.hflayers import from_hflayers
from hopfield_theory.attention.layers import Hopfield, HopfieldLayer, HopfieldPooling

__all__ = [
    "AttentionGate",
    "Hopfield",
    "HopfieldLayer",
    "HopfieldPooling",
    "clipped_attention",
    "clipped_weights",
    "from_hflayers",
    "softmax_n_attention",
    "softmax_n_weights",
]
