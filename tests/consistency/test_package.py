"""Test the installed package: metadata, package data, and a wheel without the repository."""

import configparser
import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import requires

import pytest


@pytest.fixture(scope="module")
def installed(root, tmp_path_factory):
    """An empty environment with the wheel that this tree builds, and nothing else."""
    pytest.importorskip("build", reason="the extra 'test' is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # A clean copy: build leftovers of the working tree must not find their way into the wheel.
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=root, capture_output=True, text=True
    ).stdout.splitlines()
    assert names, "git lists no files"
    for name in names:
        if (root / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((root / name).read_bytes())
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", folder, source]
    subprocess.run(command, check=True, capture_output=True)
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    wheel = next(folder.glob("*.whl"))
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", wheel]
    subprocess.run(command, check=True, capture_output=True)
    return python


def run_python(python, code, folder, **environment):
    environment = {"PATH": os.environ["PATH"], **environment}
    run = subprocess.run(
        [python, "-c", code], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_wheel_contains_hparams_and_data_prep(installed, tmp_path):
    code = (
        "import emosphere_sb, data_prep; from emosphere_sb.recipe.arguments import HPARAMS;"
        "print(emosphere_sb.__file__); print(data_prep.__file__);"
        "print(*sorted(p.name for p in HPARAMS.rglob('*') if p.is_file()))"
    )
    own, preparation, names = run_python(installed, code, tmp_path).splitlines()
    assert all(str(installed.parents[1]) in path for path in (own, preparation))
    expected = {"emosphere.yaml", "presets.yaml", "wavlm_demo.json", "wavlm_smoke.json"}
    assert expected <= set(names.split())


def test_wheel_works_outside_the_repository(installed, tmp_path):
    """The package is imported from the wheel, its dependencies from this environment."""
    code = (
        "from emosphere_sb.recipe.arguments import Arguments, find_file;"
        "from emosphere_sb.recipe.hparams import merge, build_objects;"
        "a = Arguments(find_file('hparams/emosphere.yaml'), ['smoke'], {});"
        "h = build_objects(merge(a));"
        "print(h['encoder'].output_size, h['encoder'].__class__.__module__)"
    )
    output = run_python(installed, code, tmp_path, PYTHONPATH=sysconfig.get_paths()["purelib"])
    assert output.splitlines()[-1] == "16 emosphere_sb.lobes.encoder"


def test_wheel_trains_in_an_empty_folder(installed, tmp_path):
    """``emosphere train`` needs no checkout; dependencies are imported from this environment."""
    pytest.importorskip("espeakng_loader", reason="the extra 'demo' is not installed")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": sysconfig.get_paths()["purelib"],
        "OMP_NUM_THREADS": "1",
    }
    words = ["train", "OwnData", "--preset=smoke", "--noprogressbar", "--device=cpu"]
    run = subprocess.run(
        [installed.with_name("emosphere"), *words],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    (metrics,) = tmp_path.glob("results/OwnData-synthetic/smoke/split/7/metrics.json")
    facts = json.loads(metrics.read_text(encoding="utf-8"))
    assert facts["run"]["command"] == f"emosphere {' '.join(words)}".replace(
        "OwnData ", "OwnData hparams/emosphere.yaml "
    )
    assert facts["run"]["commit"] is None  # not the commit of a surrounding repository


def test_torch_and_torchaudio_load_together():
    import torch
    import torchaudio.functional

    assert torchaudio.functional.resample(torch.zeros(8), 2, 1).shape == (4,)


def test_dependencies_match_setup_cfg(root):
    config = configparser.ConfigParser()
    config.read(root / "setup.cfg")
    required = config["options"]["install_requires"].split("\n")
    required = {line.split()[0] for line in required if line and not line.startswith("#")}
    assert {"speechbrain", "torch", "torchaudio", "transformers", "hyperpyyaml"} <= required
    installed = {re.split(r"[\s<>=!~;\[]", line)[0] for line in requires("emosphere-sb")}
    assert required <= installed
