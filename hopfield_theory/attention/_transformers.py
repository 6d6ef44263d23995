"""What is used of transformers at import; without it, one sentence that says how to install it."""

try:
    from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedConfig, PreTrainedModel
    from transformers.masking_utils import eager_mask, sdpa_mask
    from transformers.utils import logging
except ImportError as error:
    raise ImportError("transformers is needed here: pip install 'hopfield-theory[transformers]'") from error

__all__ = [
    "AttentionInterface",
    "AttentionMaskInterface",
    "PreTrainedConfig",
    "PreTrainedModel",
    "eager_mask",
    "logging",
    "sdpa_mask",
]
