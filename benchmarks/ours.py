"""The *ours* side of the throughput benchmark: this project through the doors that a recipe uses.

Hyperparameters are emosphere.yaml's, with what the benchmark fixes said as on a command line; the
data goes through the real dataset, sampler and loaders, every step through the Brain.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from plain import BATCH
from speechbrain.core import Stage
from workload import Size

from emosphere_sb.data import dataset
from emosphere_sb.data.sampler import PooledBatchSampler
from emosphere_sb.recipe.arguments import HPARAMS
from emosphere_sb.recipe.command_line import read_command
from emosphere_sb.recipe.hparams import build
from emosphere_sb.recipe.run import make_brain
from emosphere_sb.scale import Scale


class Ours:
    """Training and evaluation as a recipe does them, on rows of a manifest.

    Arguments
    ---------
    size : Size
        The model.
    folder : Path
        Where ``workload.save_weights`` wrote; a subfolder is made for what the Brain writes.
    device : str
        ``cpu`` or ``cuda``.
    scale : Scale
        Of the labels.
    batch : int
        Utterances of a step, which run through the model together.
    """

    def __init__(self, size: Size, folder: Path, *, device: str, scale: Scale, batch: int = BATCH):
        words = command(size, folder, device, batch)
        request = read_command(words, corpus="MSP-Podcast")
        tree, self.options = request.tree, request.run_options
        self.hparams, self.folder, self.scale = build(tree), folder, scale
        self.brain = None

    def load(self, rows: Mapping[str, Mapping], evaluated: int) -> None:
        """Datasets, statistics and loaders; the first ``evaluated`` rows are evaluated."""
        hparams = self.hparams
        first = dict(itertools.islice(rows.items(), evaluated))
        sets = {
            name: dataset.SpeechDataset(
                part, scale=self.scale, task=hparams["task"], max_seconds=hparams["max_seconds"]
            )
            for name, part in {"train": rows, "valid": first}.items()
        }
        if self.brain is None:
            self._make_brain(sets)
        hparams["task"].set_targets(sets["train"].targets())
        hparams["normaliser"].set_statistics(*dataset.corpus_statistics(rows))
        workers = {
            "num_workers": hparams["num_workers"],
            "pin_memory": self.brain.device_type == "cuda",
        }
        self.train_set = sets["train"]
        self.sampler = PooledBatchSampler(
            self.train_set.durations,
            hparams["batch_size"],
            seed=hparams["seed"],
            pool=hparams["bucket_batches"],
        )
        self.loader = dataset.train_loader(
            self.train_set, self.sampler, micro_batch=hparams["micro_batch"], **workers
        )
        self.valid = dataset.eval_loader(sets["valid"], batch_size=hparams["eval_batch"], **workers)
        # Always as in the first epoch: later ones leave the region head out.
        self.brain.on_stage_start(Stage.TRAIN, 1)
        self.batches = self._epochs()

    def _make_brain(self, sets: dict[str, dataset.SpeechDataset]) -> None:
        output = self.folder / "ours"
        output.mkdir(exist_ok=True)
        self.brain = make_brain(self.hparams, self.options, sets, output)
        rest = torch.load(self.folder / "rest.pt", weights_only=True)
        for name, weights in rest.items():
            self.brain.modules[name].load_state_dict(weights)
        self.brain.on_fit_start()

    def _epochs(self) -> Iterator[list[dataset.Batch]]:
        """Steps of the loader, one epoch after the other."""
        for epoch in itertools.count():
            self.sampler.set_epoch(epoch)
            yield from self.loader

    def train(self, steps: int) -> tuple[list[str], list[float]]:
        """The next steps: ids of the utterances, and the loss of each step."""
        self.brain.modules.train()
        names, losses = [], []
        for step in itertools.islice(self.batches, steps):
            losses.append(float(self.brain.fit_batch(step)))
            names += [name for batch in step for name in batch.ids]
        return names, losses

    def warm(self, count: int) -> None:
        """One step on the longest utterances."""
        self.brain.modules.train()
        self.brain.fit_batch([dataset.longest_batch(self.train_set, count)])

    @torch.no_grad()
    def evaluate(self) -> dict[str, list[float]]:
        """VAD of every utterance of the evaluation set."""
        self.brain.on_stage_start(Stage.TEST)
        self.brain.modules.eval()
        for batch in self.valid:
            self.brain.evaluate_batch(batch, Stage.TEST)
        return {name: kept[0].tolist() for name, kept in self.brain.predictions.items()}


def command(size: Size, folder: Path, device: str, batch: int) -> list[str]:
    """What a recipe's command line would say for the same model, batch and precision as plain."""
    half = device == "cuda"
    dropout = size.pooling_dropout
    return [
        str(HPARAMS / "emosphere.yaml"),
        f"--backbone={folder / 'wavlm'}",
        "--pooling=!new:emosphere_sb.lobes.StylePooling "
        f"[!ref <encoder.output_size>, {size.width}, 2, 5, {dropout}, d_model]",
        f"--head_width={size.width}",
        f"--head_dropout={size.head_dropout}",
        f"--batch_size={batch}",
        f"--micro_batch={batch}",
        "--check_memory=False",
        f"--precision={'fp16' if half else 'fp32'}",
        f"--eval_precision={'fp16' if half else 'fp32'}",
        # A CPU is busy with one utterance, so that a larger batch would only add padding; and all
        # of its cores have work, so that processes that load would only be in the way.
        f"--eval_batch={32 if half else 1}",
        f"--num_workers={2 if half else 0}",
        f"--device={device}",
        "--noprogressbar",
    ]
