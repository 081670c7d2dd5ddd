"""The command line of a recipe: what was said, as values, without importing torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

HPARAMS = Path(__file__).resolve().parents[2] / "hparams"

# SpeechBrain's run options and what they take; a test holds this against SpeechBrain's own list.
# Those that emosphere.yaml sets as well (precision, max_grad_norm) are read as its keys.
FLAGS = (
    "test_only", "debug", "debug_persistently", "data_parallel_backend", "find_unused_parameters",
    "jit", "compile", "compile_using_fullgraph", "compile_using_dynamic_shape_tracing",
    "auto_mix_prec", "bfloat16_mix_prec", "skip_nonfinite_grads", "noprogressbar",
    "tqdm_colored_bar", "remove_vector_weight_decay", "profile_training",
)  # fmt: skip
INTEGERS = (
    "debug_batches", "debug_epochs", "nonfinite_patience", "ckpt_interval_minutes",
    "ckpt_interval_steps", "grad_accumulation_factor", "optimizer_step_limit", "profile_warmup",
    "profile_steps",
)  # fmt: skip
STRINGS = ("device", "distributed_backend", "compile_mode", "eval_precision", "log_config")
LISTS = ("jit_module_keys", "compile_module_keys")
NUMBERS = ("max_grad_norm",)
PRECISION = ("precision",)
RUN_OPTIONS = FLAGS + INTEGERS + STRINGS + LISTS + NUMBERS + PRECISION

USAGE = """\
usage: python {program} HPARAMS.yaml [--preset=NAME[+NAME]] [--key=value ...]

Prepares the corpus, trains, tests on every test set, and writes everything under results/.

  HPARAMS.yaml      hparams/emosphere.yaml: the paper's model
  --preset=NAME        what hparams/presets.yaml changes in it; a+b applies a, then b
  --key=value       any top-level key of the YAML file, written out in full

Presets: {presets}

Keys: {keys}

SpeechBrain's run options: {options}
"""


@dataclass
class Arguments:
    """A parsed command line."""

    file: Path
    presets: list[str] = field(default_factory=list)
    overrides: dict[str, str] = field(default_factory=dict)
    run_options: dict = field(default_factory=dict)

    @property
    def preset(self) -> str:
        """The presets as one name, which is also the name of the output folder."""
        return "+".join(self.presets) or self.file.stem


def parse_arguments(arguments: list[str], known: set[str]) -> Arguments:
    """Read ``HPARAMS.yaml --preset=NAME --key=value``; names are never abbreviated.

    ``--key=value`` and ``--key value`` are the same. A value is everything behind the first ``=``,
    so that paths with blanks, colons and further ``=`` arrive as they are.

    Arguments
    ---------
    arguments : list of str
        As in ``sys.argv[1:]``.
    known : set of str
        Top-level keys of the YAML file: these win over run options of the same name.

    Raises
    ------
    ValueError
        If there is no file or more than one, ``--preset`` twice, or an option without a value.
    """
    files, presets, overrides, options = [], [], {}, {}
    words = iter(arguments)
    for word in words:
        if not word.startswith("--"):
            files.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        if name in FLAGS and name not in known:
            options[name] = _flag(name, value) if equals else True
            continue
        if not equals:
            value = next(words, None)
            if value is None or value.startswith("--"):
                raise ValueError(f"--{name} needs a value: --{name}=VALUE.")
        if not value:  # such as --data_folder=$UNSET: an empty path would mean this folder
            raise ValueError(f"--{name} has an empty value; nothing is written --{name}=null.")
        if name == "preset":
            if presets:
                raise ValueError("--preset was given twice. Combine presets as --preset=NAME+NAME.")
            presets = value.split("+")
        elif name in RUN_OPTIONS and name not in known:
            options[name] = _option(name, value)
        else:
            overrides[name] = value
    return Arguments(_one_file(files), presets, overrides, options)


def _one_file(files: list[str]) -> Path:
    if len(files) != 1:
        raise ValueError(
            f"One hyperparameter file must be named, such as hparams/emosphere.yaml; found "
            f"{', '.join(files) or 'none'}. Options are written --key=value."
        )
    return find_file(files[0])


def find_file(name: str) -> Path:
    """A YAML file as given; ``hparams/NAME.yaml`` and ``NAME.yaml`` also mean the package's own."""
    path = Path(name)
    if path.is_file():
        return path
    # Not for other folders: a path with a typing error must not run another file.
    if path.parent in (Path(), Path("hparams")) and (HPARAMS / path.name).is_file():
        return HPARAMS / path.name
    raise ValueError(f"Hyperparameter file {name} does not exist; the package's are in {HPARAMS}.")


def _flag(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise ValueError(f"--{name} must be True or False; found {value!r}.")
    return value.lower() == "true"


def _option(name: str, value: str) -> object:
    try:
        if name in INTEGERS:
            return int(value)
        if name in NUMBERS:
            return float(value)
    except ValueError as error:
        raise ValueError(f"--{name} must be a number; found {value!r}.") from error
    return value.split(",") if name in LISTS else value
