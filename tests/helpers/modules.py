"""Parts of somebody's own, equal to the package's but for where they lie."""

from emosphere_sb import lobes


class Pooling(lobes.StylePooling):
    """A pooling of one's own."""


class Head(lobes.VADHead):
    """A head of one's own."""


class Normaliser(lobes.WaveformNormaliser):
    """A normaliser of one's own."""


class Encoder(lobes.SSLEncoder):
    """An encoder of one's own."""
