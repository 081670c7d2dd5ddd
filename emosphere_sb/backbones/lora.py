"""Low-rank adapters (LoRA; Hu et al., 2021), with the optional package peft."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from emosphere_sb.backbones.waveform_models import WaveformBackbone, wavlm_attention_is_supported


def add_lora(
    backbone: nn.Module, *, rank: int, alpha: float, dropout: float, targets: Sequence[str]
) -> None:
    """Add low-rank adapters to linear layers of a backbone in place, and freeze all other weights.

    Arguments
    ---------
    backbone : torch.nn.Module
        Backbone; see :mod:`emosphere_sb.backbones`.
    rank : int
        Rank of the adapters.
    alpha : float
        Scaling: the output of an adapter is multiplied by ``alpha / rank``.
    dropout : float
        Dropout probability at the input of each adapter.
    targets : sequence of str
        Names of linear layers without their module path, such as ``q_proj`` and ``v_proj``.

    Raises
    ------
    ImportError
        If peft is not installed.
    ValueError
        If the backbone does not have such layers, or its attention would bypass the adapters.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ImportError(
            "LoRA requires peft, which is not installed. Run: pip install 'emosphere-sb[lora]'"
        ) from error
    if isinstance(backbone, WaveformBackbone) and backbone.model.config.model_type == "wavlm":
        _check_wavlm_targets(targets)
    names = [
        name
        for name, module in backbone.model.named_modules()
        if isinstance(module, nn.Linear) and name.rpartition(".")[2] in targets
    ]
    missing = set(targets) - {name.rpartition(".")[2] for name in names}
    if missing or not names:
        problem = f"not found: {', '.join(sorted(missing))}" if missing else "the list is empty"
        raise ValueError(
            f"lora_targets must name linear layers of the backbone; {problem}. Available: "
            f"{', '.join(sorted(linear_names(backbone.model)))}."
        )
    settings = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=names)
    inject_adapter_in_model(settings, backbone.model)
    for name, parameter in backbone.model.named_parameters():
        parameter.requires_grad_("lora_" in name)


def _check_wavlm_targets(targets: Sequence[str]) -> None:
    """Reject attention projections if the attention of transformers would bypass the adapters."""
    projections = {"q_proj", "k_proj", "v_proj", "out_proj"} & set(targets)
    if projections and not wavlm_attention_is_supported():
        raise ValueError(
            f"LoRA on {', '.join(sorted(projections))} would have no effect, because the WavLM "
            f"attention of the installed transformers bypasses the adapters. Use the feed-forward "
            f"layers (intermediate_dense, output_dense), or install the transformers version "
            f"pinned in constraints.txt."
        )


def linear_names(model: nn.Module) -> set[str]:
    """Return the names of all linear layers, without their module paths."""
    modules = model.named_modules()
    return {name.rpartition(".")[2] for name, module in modules if isinstance(module, nn.Linear)}


def merge_lora(backbone: nn.Module) -> None:
    """Merge the adapters into the weights of their layers and remove them, in place."""
    from peft.tuners.lora import LoraLayer

    for name, module in list(backbone.model.named_modules()):
        if isinstance(module, LoraLayer):
            module.merge()
            parent, _, own = name.rpartition(".")
            setattr(backbone.model.get_submodule(parent), own, module.get_base_layer())
