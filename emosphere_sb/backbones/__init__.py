"""Common interface to the pretrained speech models of transformers, with padding masked.

Every backbone is a ``torch.nn.Module`` that maps a padded batch of waveforms to frames. It has the
attributes ``model`` (the transformers model), ``layers``, ``feature_encoder`` (or None),
``final_norm`` (or None), ``output_size``, ``receptive_field``, ``masked`` and ``spec_augment``, and
the methods ``frame_lengths(lengths)`` and ``forward(signals, lengths)``.
"""

from emosphere_sb.backbones.loading import load_backbone

__all__ = ["load_backbone"]
