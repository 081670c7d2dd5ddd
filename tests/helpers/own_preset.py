"""Hyperparameters with replaced objects, which the command line does not accept."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from emosphere_sb.recipe.arguments import HPARAMS, Arguments
from emosphere_sb.recipe.hparams import merge

OWN = "own"
"""Name of the preset that replaces the objects."""


@contextmanager
def own_preset_file(objects: Mapping[str, str]) -> Iterator[Path]:
    """Copy ``emosphere.yaml`` next to presets with one more, which replaces some objects."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(HPARAMS / "emosphere.yaml", folder)
        presets = (HPARAMS / "presets.yaml").read_text(encoding="utf-8")
        lines = [f"    {key}: {value}\n" for key, value in objects.items()]
        own = f"\n{OWN}:\n{''.join(lines)}" if lines else ""
        (folder / "presets.yaml").write_text(presets + own, encoding="utf-8")
        yield folder / "emosphere.yaml"


def merge_objects(presets: Sequence[str], overrides: Mapping[str, str]):
    """Merge presets and overrides; those with a YAML tag are given in a preset of their own."""
    objects = {key: text for key, text in overrides.items() if text.startswith("!")}
    plain = {key: text for key, text in overrides.items() if key not in objects}
    with own_preset_file(objects) as file:
        return merge(Arguments(file, [*presets, *([OWN] if objects else [])], plain))
