"""Validation of SpeechBrain's run options."""

import pytest
from speechbrain.utils.run_opts import RunOptions

from emosphere_sb.training.run_options import UNSUPPORTED_RUN_OPTIONS, validate_run_options

DEFAULTS = RunOptions().as_dict()


def test_defaults_are_accepted():
    validate_run_options(DEFAULTS)
    validate_run_options({**DEFAULTS, "max_grad_norm": float("inf")})


@pytest.mark.parametrize("name", UNSUPPORTED_RUN_OPTIONS)
def test_unsupported_options_raise(name):
    with pytest.raises(ValueError, match=f"--{name} is not supported"):
        validate_run_options({**DEFAULTS, name: True})


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan")])
def test_max_grad_norm_must_be_positive(limit):
    with pytest.raises(ValueError, match=f"max_grad_norm must be positive.*found {limit}"):
        validate_run_options({**DEFAULTS, "max_grad_norm": limit})


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"grad_accumulation_factor": 2}, "micro_batch"),
        ({"compile": True}, "--compile is not supported"),
        ({"compile_module_keys": ["encoder"]}, "--compile is not supported"),
    ],
)
def test_accumulation_and_compilation_are_rejected(option, message):
    with pytest.raises(ValueError, match=message):
        validate_run_options({**DEFAULTS, **option})
