"""Validation of SpeechBrain's run options."""

from __future__ import annotations

from collections.abc import Mapping

UNSUPPORTED_RUN_OPTIONS = (
    "remove_vector_weight_decay", "skip_nonfinite_grads", "data_parallel_backend",
    "find_unused_parameters", "jit",
)  # fmt: skip
"""SpeechBrain run options that have no effect, because EmoSphereBrain replaces their code."""


def validate_run_options(options: Mapping) -> None:
    """Check that run options are supported.

    Arguments
    ---------
    options : mapping
        Values by name, including SpeechBrain's defaults.

    Raises
    ------
    ValueError
        If ``max_grad_norm`` is not positive, or gradient accumulation, compilation, or one of
        :data:`UNSUPPORTED_RUN_OPTIONS` is requested.
    """
    limit = options["max_grad_norm"]
    if not limit > 0:  # a negative value would flip the sign of every gradient
        raise ValueError(f"max_grad_norm must be positive, or inf for no limit; found {limit}.")
    if options["grad_accumulation_factor"] != 1:
        raise ValueError(
            "grad_accumulation_factor is not supported. Set batch_size (the effective batch) and "
            "micro_batch (the number of utterances per forward pass) instead."
        )
    for name in (name for name in UNSUPPORTED_RUN_OPTIONS if options[name]):
        raise ValueError(f"--{name} is not supported: it would have no effect. Remove it.")
    if options["compile"] or options["compile_module_keys"]:
        raise ValueError(
            "--compile is not supported: the encoder depends on the lengths of the utterances, so "
            "PyTorch would recompile for almost every batch, which takes minutes each time. Omit "
            "this option."
        )
