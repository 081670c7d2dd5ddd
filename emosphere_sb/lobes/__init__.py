"""Model components for the YAML file: encoder, normalisation, pooling, heads, tasks, weighting."""

from emosphere_sb.lobes.encoder import SSLEncoder
from emosphere_sb.lobes.heads import EmotionHead, VADHead
from emosphere_sb.lobes.normalisation import WaveformNormaliser
from emosphere_sb.lobes.pooling import AttentiveStatsPooling, MeanPooling, StylePooling
from emosphere_sb.lobes.tasks import EmotionTask, NoTask, RegionTask
from emosphere_sb.lobes.weighting import ConstantWeight, LinearDecay, UncertaintyWeighting

__all__ = [
    "AttentiveStatsPooling",
    "ConstantWeight",
    "EmotionHead",
    "EmotionTask",
    "LinearDecay",
    "MeanPooling",
    "NoTask",
    "RegionTask",
    "SSLEncoder",
    "StylePooling",
    "UncertaintyWeighting",
    "VADHead",
    "WaveformNormaliser",
]
