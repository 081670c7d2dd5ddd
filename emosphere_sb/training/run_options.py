"""SpeechBrain's run options that this recipe rejects, and why."""

from __future__ import annotations

from collections.abc import Mapping

UNSUPPORTED_RUN_OPTIONS = (
    "remove_vector_weight_decay", "skip_nonfinite_grads", "data_parallel_backend",
    "find_unused_parameters", "jit",
)  # fmt: skip
"""Run options of SpeechBrain's own optimiser step, which EmoSphereBrain replaces."""


def validate_run_options(options: Mapping) -> None:
    """Reject run options that would have no effect, or a harmful one.

    Arguments
    ---------
    options : mapping
        Values by name, with SpeechBrain's defaults filled in.

    Raises
    ------
    ValueError
        If ``max_grad_norm`` is not positive, or gradient accumulation, compilation, or one of
        :data:`UNSUPPORTED_RUN_OPTIONS` is requested.
    """
    limit = options["max_grad_norm"]
    if not limit > 0:  # a negative one would flip the sign of every gradient
        raise ValueError(f"max_grad_norm must be positive, inf for none; found {limit}.")
    if options["grad_accumulation_factor"] != 1:
        raise ValueError(
            "grad_accumulation_factor is not used here: batch_size is the effective batch, and "
            "micro_batch says how many utterances run through the model at a time."
        )
    for name in (name for name in UNSUPPORTED_RUN_OPTIONS if options[name]):
        raise ValueError(f"--{name} has no effect in this recipe, so it is refused.")
    if options["compile"] or options["compile_module_keys"]:
        raise ValueError(
            "--compile is refused: each utterance and batch has another length, by which the "
            "encoder cuts its work, so that PyTorch compiles anew again and again, minutes "
            "each time. Attention and convolutions are fast without it."
        )
