"""Speech SSL models of transformers behind one door: samples in, frames out, padding masked.

A backbone is a module with ``model`` (transformers' own, whose weights it runs), ``layers``,
``feature_encoder`` (or None), ``final_norm`` (or None), ``output_size``, ``receptive_field``,
``masked``, ``spec_augment``, ``frame_lengths(lengths)`` and ``forward(signals, lengths)``.
"""

from emosphere_sb.backbones.loading import load_backbone

__all__ = ["load_backbone"]
