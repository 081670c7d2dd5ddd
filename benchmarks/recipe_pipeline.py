"""This project's implementation for the throughput benchmark.

Training and evaluation are the same as in a recipe.
It uses the hyperparameters of emosphere.yaml with the benchmark's overrides, and the dataset,
sampler, data loaders and Brain of the recipes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from published_pipeline import BATCH, default_precision
from speechbrain.core import Stage
from torch.utils.data import DataLoader
from workload import Size

from emosphere_sb.data import dataset
from emosphere_sb.data.sampler import PooledBatchSampler
from emosphere_sb.data.waveform_statistics import corpus_statistics
from emosphere_sb.recipe.arguments import HPARAMS
from emosphere_sb.recipe.build import make_brain
from emosphere_sb.recipe.command_line import read_command
from emosphere_sb.recipe.hparams import build_objects
from emosphere_sb.scale import Scale


class RecipePipeline:
    """Pipeline that trains and evaluates on rows of a manifest as a recipe does.

    Arguments
    ---------
    size : Size
        Size of the model.
    folder : Path
        Folder with the files written by ``workload.save_weights``. The Brain writes to a subfolder.
    device : str
        ``cpu`` or ``cuda``.
    scale : Scale
        Scale of the labels.
    batch : int
        Number of utterances per step and per forward pass.
    precision : str, optional
        Precision of training and evaluation. (default: fp16 on a GPU and fp32 on a CPU)
    options : sequence of str
        Additional command-line arguments.
    """

    def __init__(
        self,
        size: Size,
        folder: Path,
        *,
        device: str,
        scale: Scale,
        batch: int = BATCH,
        precision: str | None = None,
        options: Sequence[str] = (),
    ):
        words = [*command(size, folder, device, batch, precision), *options]
        request = read_command(words, corpus="MSP-Podcast")
        tree, self.options = request.tree, request.run_options
        self.hparams, self.folder, self.scale = build_objects(tree), folder, scale
        self.brain = None

    def load(self, rows: Mapping[str, Mapping], evaluated: int) -> None:
        """Create the data sets, statistics and data loaders.

        The first ``evaluated`` rows are the evaluation set.
        """
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
        hparams["normaliser"].set_statistics(*corpus_statistics(rows))
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
        # Always use epoch 1, because later epochs do not train the region head.
        self.brain.on_stage_start(Stage.TRAIN, 1)
        self.batches = epochs(self.sampler, self.loader)

    def _make_brain(self, sets: dict[str, dataset.SpeechDataset]) -> None:
        output = self.folder / "recipe"
        output.mkdir(exist_ok=True)
        self.brain = make_brain(self.hparams, self.options, sets, output)
        rest = torch.load(self.folder / "rest.pt", weights_only=True)
        for name, weights in rest.items():
            self.brain.modules[name].load_state_dict(weights)
        self.brain.on_fit_start()

    def train(self, steps: int) -> tuple[list[str], list[float]]:
        """Run the next training steps and return the utterance IDs and the losses."""
        self.brain.modules.train()
        names, losses = [], []
        for step in itertools.islice(self.batches, steps):
            losses.append(float(self.brain.fit_batch(step)))
            names += [name for batch in step for name in batch.ids]
        return names, losses

    def warm_up(self, count: int) -> None:
        """Run one training step on the ``count`` longest utterances."""
        self.brain.modules.train()
        self.brain.fit_batch([dataset.longest_batch(self.train_set, count)])

    @torch.no_grad()
    def evaluate(self) -> dict[str, list[float]]:
        """Predict VAD for each utterance of the evaluation set."""
        self.brain.on_stage_start(Stage.TEST)
        self.brain.modules.eval()
        for batch in self.valid:
            self.brain.evaluate_batch(batch, Stage.TEST)
        return {name: output[0].tolist() for name, output in self.brain.predictions.items()}


# Not a method: a reference to the pipeline would be a cycle, and the loader's processes would still
# run at exit, which would wait for them, because they ignore SIGTERM.
def epochs(sampler: PooledBatchSampler, loader: DataLoader) -> Iterator[list[dataset.Batch]]:
    """Yield the training steps of successive epochs."""
    for epoch in itertools.count():
        sampler.set_epoch(epoch)
        yield from loader


def command(
    size: Size, folder: Path, device: str, batch: int, precision: str | None = None
) -> list[str]:
    """Return the recipe's arguments for the model, batch size and precision of the benchmark."""
    gpu, precision = device == "cuda", precision or default_precision(device)
    return [
        str(HPARAMS / "emosphere.yaml"),
        f"--backbone={folder / 'wavlm'}",
        f"--pooling_dim={size.width}",
        f"--pooling_dropout={size.pooling_dropout}",
        f"--head_width={size.width}",
        f"--head_dropout={size.head_dropout}",
        f"--batch_size={batch}",
        f"--micro_batch={batch}",
        "--check_memory=False",
        f"--precision={precision}",
        f"--eval_precision={precision}",
        # One utterance uses all cores of a CPU, so a larger batch would only add padding, and
        # loader processes would compete for the cores.
        f"--eval_batch={32 if gpu else 1}",
        f"--num_workers={2 if gpu else 0}",
        f"--device={device}",
        "--noprogressbar",
    ]
