"""Low-rank adapters (LoRA, Hu et al., 2021) through peft, which is an optional extra."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from emosphere_sb.backbones.waveform_models import WaveformBackbone, wavlm_is_known


def add_lora(
    backbone: nn.Module, *, rank: int, alpha: float, dropout: float, targets: Sequence[str]
) -> None:
    """Put adapters beside linear layers of a backbone, in place; all other weights are frozen.

    Arguments
    ---------
    backbone : torch.nn.Module
        See :mod:`emosphere_sb.backbones`.
    rank : int
        Of the adapters.
    alpha : float
        Their output is scaled by ``alpha / rank``.
    dropout : float
        Before each adapter.
    targets : sequence of str
        Last parts of the names of linear layers, such as ``q_proj`` and ``v_proj``.

    Raises
    ------
    ImportError
        If peft is not installed.
    ValueError
        If the backbone has no such layers, or would not run through them.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ImportError(
            "LoRA needs peft, which is not installed: pip install 'emosphere-sb[lora]'."
        ) from error
    if isinstance(backbone, WaveformBackbone) and backbone.model.config.model_type == "wavlm":
        _refuse_stock_wavlm(targets)
    names = [
        name
        for name, module in backbone.model.named_modules()
        if isinstance(module, nn.Linear) and name.rpartition(".")[2] in targets
    ]
    missing = set(targets) - {name.rpartition(".")[2] for name in names}
    if missing or not names:
        raise ValueError(
            f"lora_targets must name linear layers of the backbone; it has no "
            f"{', '.join(sorted(missing)) or 'layer for an empty list'}. It has "
            f"{', '.join(sorted(linear_names(backbone.model)))}."
        )
    settings = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=names)
    inject_adapter_in_model(settings, backbone.model)
    for name, parameter in backbone.model.named_parameters():
        parameter.requires_grad_("lora_" in name)


def _refuse_stock_wavlm(targets: Sequence[str]) -> None:
    """transformers' own attention reads the projections' weights past their modules."""
    projections = {"q_proj", "k_proj", "v_proj", "out_proj"} & set(targets)
    if projections and not wavlm_is_known():
        raise ValueError(
            f"LoRA on {', '.join(sorted(projections))} would do nothing: transformers' own WavLM "
            f"attention runs here, which bypasses the adapters. Take the feed-forward layers "
            f"(intermediate_dense, output_dense), or the transformers of constraints.txt."
        )


def linear_names(model: nn.Module) -> set[str]:
    """Last parts of the names of all linear layers."""
    modules = model.named_modules()
    return {name.rpartition(".")[2] for name, module in modules if isinstance(module, nn.Linear)}


def merge_lora(backbone: nn.Module) -> None:
    """Add the adapters' products to the weights that they stand beside, and take them away."""
    from peft.tuners.lora import LoraLayer

    for name, module in list(backbone.model.named_modules()):
        if isinstance(module, LoraLayer):
            module.merge()
            parent, _, own = name.rpartition(".")
            setattr(backbone.model.get_submodule(parent), own, module.get_base_layer())
