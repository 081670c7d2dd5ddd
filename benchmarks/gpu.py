"""Measure and check training, evaluation and resuming on a GPU: ``make bench-gpu``, six minutes.

Each step prints one line with ``passed``, ``failed`` or ``skipped``. A failed step does not stop
the others: most run in separate processes. The exit status is 1 if any step fails or does not fit
into ``--minutes``. ``--device=cpu --size=tiny`` runs all steps except those that require a GPU.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch
from gpu_steps import report
from gpu_steps.accuracy import predictions
from gpu_steps.memory import largest_batch
from gpu_steps.nccl import nccl
from gpu_steps.resume import exact_resume
from gpu_steps.speed import device_check, extraction, peaks, throughput
from gpu_steps.step import DEFAULTS, Outcome, Settings, Step
from gpu_steps.variants import variants
from runs import ROOT, replace_between_markers
from sides import quiet, use_recipe_start_method
from workload import SIZES, durations, repeat_rows, save_weights, write_corpus

MINUTES = 6.0
REPEATED = 4  # utterances per audio file on a GPU
# Imported once, before the processes of the steps are forked. These modules must not query CUDA at
# import, as SpeechBrain does, because a forked process could not use CUDA then.
PRELOADED = [
    "matplotlib", "pandas", "scipy.stats", "torchaudio",
    "transformers.models.wavlm.modeling_wavlm",
]  # fmt: skip

STEPS = (
    Step("CUDA device", device_check, needs_gpu=True),
    Step(report.PEAKS, peaks),
    Step("CPU and GPU predictions", predictions),
    Step("exact resume", exact_resume),
    Step("nccl", nccl, needs_gpu=True),
    Step("throughput in bf16", partial(throughput, precision="bf16"), isolated=False),
    Step("feature extraction", extraction),
    Step("throughput in fp32", partial(throughput, precision="fp32"), isolated=False),
    Step("variants", variants),
    Step(report.MEMORY, largest_batch),
    Step("throughput in fp16", partial(throughput, precision="fp16"), True, isolated=False),
)


def run_step(step: Step, settings: Settings, seconds: float) -> Outcome:
    """Run one step for at most ``seconds``; errors are outcomes, too."""
    if step.needs_gpu and not settings.gpu:
        return Outcome("skipped", "requires a GPU")
    if seconds <= 0:
        return Outcome("failed", "not run: the time limit was reached")
    try:
        with time_limit(seconds):
            return in_process(step, settings) if step.isolated else step.run(settings)
    except Exception as error:  # any error must not prevent the other steps
        traceback.print_exc()
        return Outcome("failed", describe(error))


def describe(error: Exception) -> str:
    """Return the type and the last line of the message of an error."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[-1].strip()}"


def in_process(step: Step, settings: Settings) -> Outcome:
    """Run a step in a new process, so that an error of CUDA does not affect the others."""
    context = multiprocessing.get_context("forkserver")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=send_outcome, args=(sender, step, settings))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"The process ended with status {process.exitcode}.") from None
    finally:
        process.join(5)
        process.kill()


def send_outcome(sender, step: Step, settings: Settings) -> None:
    """Run a step and send its outcome; called in the new process."""
    quiet()
    use_recipe_start_method()
    try:
        outcome = step.run(settings)
    except Exception as error:  # the main process waits for an outcome
        traceback.print_exc()
        outcome = Outcome("failed", describe(error))
    sender.send(outcome)


@contextmanager
def time_limit(seconds: float):
    """Raise TimeoutError in the main thread after a time."""

    def stop(*_) -> None:
        raise TimeoutError(f"the step did not finish within {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run_steps(settings: Settings, minutes: float, save, start: float) -> dict[str, Outcome]:
    """Run all steps in order; call ``save`` with all outcomes after each step."""
    outcomes: dict[str, Outcome] = {}
    for step in STEPS:
        begin = time.perf_counter()
        left = minutes * 60 - (begin - start)
        outcome = outcomes[step.name] = run_step(step, settings, left)
        spent = time.perf_counter() - begin
        print(f"{outcome.status}: {step.name}: {outcome.detail} ({spent:.0f} s)", flush=True)
        save(outcomes)
    return outcomes


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark; write benchmarks/RESULTS.md if all options have their defaults."""
    start = time.perf_counter()
    arguments = vars(read_arguments(words))
    path, minutes = arguments.pop("json"), arguments.pop("minutes")
    settings = Settings(**arguments)
    default = settings == Settings("cuda", **DEFAULTS["cuda"]) and minutes == MINUTES
    command = "make bench-gpu" if default else " ".join(["benchmarks/gpu.py", *sys.argv[1:]])
    quiet()
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)

    def save(outcomes: dict[str, Outcome]) -> None:
        seconds = time.perf_counter() - start
        tables = {
            "throughput-gpu": report.throughput_table(outcomes, settings, command),
            "gpu": report.checks_table(outcomes, command, seconds),
        }
        if path is not None:
            content = {name: asdict(outcome) for name, outcome in outcomes.items()}
            path.write_text(json.dumps(content | {"tables": tables}, indent=1), encoding="utf-8")
        if default:
            for name, text in tables.items():
                replace_between_markers(ROOT / "benchmarks" / "RESULTS.md", name, text)
        if len(outcomes) == len(STEPS):
            print("", *tables.values(), sep="\n")

    with tempfile.TemporaryDirectory(prefix="emosphere-") as name:
        settings = replace(settings, folder=Path(name))
        files = -(-settings.utterances // REPEATED) if settings.gpu else settings.utterances
        rows = write_corpus(settings.folder / "audio", durations(files))
        rows = repeat_rows(rows, settings.utterances)
        save_weights(SIZES[settings.size], settings.folder)
        save_weights(settings.small, settings.folder / "small")
        settings = replace(settings, rows=rows)
        print(f"corpus and weights: {time.perf_counter() - start:.0f} s", flush=True)
        outcomes = run_steps(settings, minutes, save, start)
    failed = [name for name, outcome in outcomes.items() if outcome.status == "failed"]
    skipped = sum(outcome.status == "skipped" for outcome in outcomes.values())
    passed = len(outcomes) - len(failed) - skipped
    print(f"{passed} passed, {len(failed)} failed, {skipped} skipped")
    return 1 if failed else 0


def read_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line and fill in the defaults of the device."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--device", choices=list(DEFAULTS), default="cuda")
    parser.add_argument("--size", choices=list(SIZES))
    parser.add_argument("--batch", type=int, help="utterances per step")
    parser.add_argument("--utterances", type=int, help="utterances per epoch")
    parser.add_argument("--evaluated", type=int, help="utterances evaluated in each pair")
    parser.add_argument("--pairs", type=int, help="pairs of measurements")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="limit of the total time")
    parser.add_argument("--json", type=Path, help="file for all values, written after each step")
    arguments = parser.parse_args(words)
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device=cuda requires a GPU, but PyTorch found none. Use --device=cpu.")
    for name, value in DEFAULTS[arguments.device].items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    return arguments


if __name__ == "__main__":
    sys.exit(main())
