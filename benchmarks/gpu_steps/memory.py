"""Memory: the largest number of utterances of 12 s that fit into one training step."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable

import torch
from published_pipeline import RATE, SECONDS
from recipe_pipeline import RecipePipeline
from workload import SCALE, SIZES

from emosphere_sb.data.dataset import Batch
from gpu_steps.step import Outcome, Settings, passed_if

PRECISION = "bf16"
LIMITS = {"cuda": 1024, "cpu": 3}  # largest number of utterances that is tried
START = {"cuda": 64, "cpu": 1}
# Measured MiB of device memory per utterance with WavLM-large, without and with gradient
# checkpointing: they give a first guess, which saves trials.
PER_UTTERANCE = {"off": 816, "on": 204}


def largest_batch(settings: Settings) -> Outcome:
    """Find the largest batch of one training step, without and with gradient checkpointing."""
    limit, found, mib, reasons = LIMITS[settings.device], {}, {}, []
    for name, checkpointing in {"off": False, "on": True}.items():
        pipeline = RecipePipeline(
            SIZES[settings.size], settings.folder, device=settings.device, scale=SCALE,
            precision=PRECISION, options=[f"--gradient_checkpointing={checkpointing}"],
        )  # fmt: skip
        pipeline.load(dict(itertools.islice(settings.rows.items(), settings.batch)), 1)
        trial = Trial(pipeline.brain, settings.gpu)
        guess = None
        if settings.gpu and settings.size == "large":
            total = torch.cuda.get_device_properties(0).total_memory / 2**20
            guess = int(total / PER_UTTERANCE[name])
        found[name] = largest(trial, START[settings.device], limit, guess)
        mib[name], reasons = trial.mib.get(found[name]), reasons + trial.reasons
        del pipeline, trial
        release_memory(settings.gpu)
    detail = "; ".join(
        f"gradient checkpointing {name}: {count}{' or more' if count == limit else ''}"
        for name, count in found.items()
    )
    detail = f"utterances of {SECONDS:g} s per training step in {PRECISION}: {detail}"
    if reasons:
        detail += f"; other errors: {'; '.join(dict.fromkeys(reasons))}"
    correct = 1 <= found["off"] <= found["on"] and not reasons
    return passed_if(correct, detail, utterances=found, mib=mib, limit=limit)


class Trial:
    """Callable that returns whether a training step with a number of utterances fits.

    Attributes
    ----------
    mib : dict
        Peak device memory of the successful steps in MiB, by number of utterances.
    reasons : list of str
        Errors other than a lack of memory.
    """

    def __init__(self, brain, gpu: bool):
        self.brain, self.gpu = brain, gpu
        self.mib: dict[int, float] = {}
        self.reasons: list[str] = []

    def __call__(self, count: int) -> bool:
        """Run one training step."""
        if self.gpu:
            torch.cuda.reset_peak_memory_stats()
        try:
            self.brain.modules.train()
            loss = float(self.brain.fit_batch([noise_batch(count)]))
            if loss != loss:
                self.reasons.append(f"the loss of {count} utterances is NaN")
        except MemoryError:
            fits = False
        except RuntimeError as error:
            fits = False
            self.reasons.append(f"{count} utterances: {str(error).splitlines()[0]}")
        else:
            fits = True
            self.mib[count] = torch.cuda.max_memory_allocated() / 2**20 if self.gpu else None
        self.brain.zero_grad(set_to_none=True)
        release_memory(self.gpu)
        return fits


def noise_batch(count: int) -> Batch:
    """Return a batch of noise with the maximum duration and random labels."""
    samples, chance = round(SECONDS * RATE), torch.Generator().manual_seed(count)
    return Batch(
        ids=[f"noise{number}" for number in range(count)],
        signals=0.1 * torch.randn(count, samples, generator=chance),
        lengths=torch.full((count,), samples),
        vad=torch.rand(count, 3, generator=chance) * 2 - 1,
        target=torch.randint(0, 8, (count,), generator=chance),
    )


def largest(fits: Callable[[int], bool], start: int, limit: int, guess: int | None = None) -> int:
    """Return the largest number up to ``limit`` that fits, to within an eighth.

    Doubles or halves ``start`` until the answer is bracketed, then bisects. A ``guess`` is tried
    first, then a number that differs from it by an eighth.
    """
    near = guess is not None
    good, bad, count = 0, limit + 1, min(guess, limit) if near else start
    while good < count < bad:
        if fits(count):
            good, count = count, min(count + 1 + count // 8 if near else 2 * count, limit)
        else:
            bad, count = count, good or (count * 7 // 8 if near else count // 2)
        near = False
    while bad - good > 1 + good // 8:
        count = (good + bad) // 2
        good, bad = (count, bad) if fits(count) else (good, count)
    return good


def release_memory(gpu: bool) -> None:
    """Free unused memory, so that the trials do not depend on each other."""
    gc.collect()
    if gpu:
        torch.cuda.empty_cache()
