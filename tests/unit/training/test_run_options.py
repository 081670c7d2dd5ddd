"""SpeechBrain's run options: which are rejected."""

import pytest
from speechbrain.utils.run_opts import RunOptions

from emosphere_sb.training.run_options import UNSUPPORTED_RUN_OPTIONS, validate_run_options

DEFAULTS = RunOptions().as_dict()


def test_defaults_are_accepted():
    validate_run_options(DEFAULTS)
    validate_run_options({**DEFAULTS, "max_grad_norm": float("inf")})


@pytest.mark.parametrize("name", UNSUPPORTED_RUN_OPTIONS)
def test_options_of_a_step_that_is_not_taken_are_rejected(name):
    with pytest.raises(ValueError, match=f"--{name} has no effect"):
        validate_run_options({**DEFAULTS, name: True})


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan")])
def test_largest_norm_must_be_positive(limit):
    with pytest.raises(ValueError, match=f"max_grad_norm must be positive.*found {limit}"):
        validate_run_options({**DEFAULTS, "max_grad_norm": limit})


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"grad_accumulation_factor": 2}, "micro_batch"),
        ({"compile": True}, "--compile is refused"),
        ({"compile_module_keys": ["encoder"]}, "--compile is refused"),
    ],
)
def test_accumulation_and_compilation_are_rejected(option, said):
    with pytest.raises(ValueError, match=said):
        validate_run_options({**DEFAULTS, **option})
