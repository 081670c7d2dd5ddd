"""Code that comes with a backbone runs only with ``trust_remote_code``."""

import json

import pytest

from emosphere_sb.recipe.arguments import HPARAMS, Arguments
from emosphere_sb.recipe.hparams import build_objects, merge

CODE = """
from pathlib import Path
from transformers import PretrainedConfig
Path({mark!r}).touch()
class Config(PretrainedConfig):
    model_type = "foreign"
"""


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """Folder of a backbone with custom code, and the file that this code creates."""
    from transformers import dynamic_module_utils

    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    folder, mark = tmp_path / "foreign", tmp_path / "ran"
    folder.mkdir()
    (folder / "foreign_code.py").write_text(CODE.format(mark=str(mark)))
    settings = {"model_type": "foreign", "auto_map": {"AutoConfig": "foreign_code.Config"}}
    (folder / "config.json").write_text(json.dumps(settings))
    return folder, mark


def build_with(folder, **overrides):
    texts = {"backbone": str(folder), "normalisation": "corpus", **overrides}
    build_objects(merge(Arguments(HPARAMS / "emosphere.yaml", ["smoke"], texts)))


@pytest.mark.parametrize("overrides", [{}, {"trust_remote_code": "False"}])
def test_fault_code_of_a_backbone_is_not_run(foreign, overrides):
    folder, mark = foreign
    with pytest.raises(ValueError, match="trust_remote_code"):
        build_with(folder, **overrides)
    assert not mark.exists()


def test_code_of_a_backbone_runs_with_trust_remote_code(foreign):
    folder, mark = foreign
    with pytest.raises(ValueError, match="could not be loaded"):  # the code defines no model
        build_with(folder, trust_remote_code="True")
    assert mark.exists()
