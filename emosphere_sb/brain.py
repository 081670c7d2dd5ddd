"""EmoSphereBrain: the forward pass, the objective, the step, and what happens between epochs."""

from __future__ import annotations

import logging
import math
import time
from collections import defaultdict

import speechbrain as sb
import torch
from speechbrain.core import Stage
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader

from emosphere_sb.class_metrics import classification_metrics
from emosphere_sb.data import Batch
from emosphere_sb.metrics import regression_metrics
from emosphere_sb.scale import DIMENSIONS
from emosphere_sb.step import Labels, Output, memory_advice, parameter_groups, seed_all

logger = logging.getLogger(__name__)

WINDOWS = ("effective", "micro")
# Run options of SpeechBrain whose place this Brain's own step has taken.
UNUSED = ("remove_vector_weight_decay", "skip_nonfinite_grads", "data_parallel_backend")


class EmoSphereBrain(sb.Brain):
    """Joint training of the VAD regression (CCC) and the auxiliary task (spherical cross-entropy).

    Beside SpeechBrain's arguments it expects in ``hparams``: ``task``, ``vad_loss``, ``weighting``,
    ``ccc_window``, ``seed``, ``lr_backbone``, ``lr_weighting``, ``schedule``, ``epoch_counter``,
    ``loggers``, ``longest_batches`` (None: no dry run), and in ``modules``: ``normaliser``,
    ``encoder``, ``pooling``, ``vad_head`` and, where there is an auxiliary task,
    ``auxiliary_head``.

    Raises
    ------
    ValueError
        If ``max_grad_norm`` is not positive (SpeechBrain would turn every gradient round), gradient
        accumulation is asked for in SpeechBrain's way, or ``ccc_window`` is unknown.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if not self.max_grad_norm > 0:
            raise ValueError(  # a negative one would flip every gradient's sign
                f"max_grad_norm must be positive, inf for none; found {self.max_grad_norm}."
            )
        if self.grad_accumulation_factor != 1:
            raise ValueError(
                "grad_accumulation_factor is not used here: batch_size is the effective batch, and "
                "micro_batch says how many utterances run through the model at a time."
            )
        for name in (name for name in UNUSED if getattr(self, name)):
            raise ValueError(f"--{name} has no effect in this recipe, so it is refused.")
        if self.hparams.ccc_window not in WINDOWS:
            raise ValueError(
                f"ccc_window must be one of {', '.join(WINDOWS)}; found "
                f"{self.hparams.ccc_window!r}."
            )
        self.predictions: dict[str, tuple[Tensor, Tensor | None]] = {}
        self.seconds, self._since = 0.0, time.time()  # of training, over all restarts
        self.train_stats, self.head_figures = {}, {}
        self._sums: dict[str, float] = defaultdict(float)
        self.schedule, self._best_loaded = None, False

    # --- one batch ---------------------------------------------------------------------------

    def compute_forward(self, batch: Batch, stage: Stage) -> Output:
        """Waveforms to VAD and, while the auxiliary task is active, class scores."""
        batch, encoder = batch.to(self.device), self.modules.encoder
        if batch.cached:
            frames, lengths = encoder.combine(batch.signals), batch.lengths
        else:
            signals = self.modules.normaliser(batch.signals, batch.lengths)
            frames, lengths = encoder(signals, batch.lengths)
        utterance = self.modules.pooling(frames, lengths)
        logits = self.modules.auxiliary_head(utterance) if self.auxiliary_active else None
        return Output(self.modules.vad_head(utterance), logits)

    def compute_objectives(
        self, predictions: Output, batch: Batch | Labels, stage: Stage
    ) -> Tensor:
        """The joint loss, float32 whatever the autocast: CCC plus the weighted auxiliary loss."""
        vad, target = batch.vad.to(self.device), batch.target.to(self.device)
        known = ~vad.isnan()
        loss = self.hparams.vad_loss(predictions.vad, vad, known)
        self._sums["vad_loss"] += loss.detach()
        self._sums["undefined"] += self.hparams.vad_loss.undefined(known)
        self._sums["objectives"] += 1
        if predictions.logits is None:
            return loss
        auxiliary = self.hparams.task(predictions.logits, target, vad)
        self._sums["auxiliary_loss"] += auxiliary.detach()
        return self.hparams.weighting(loss, auxiliary)

    @property
    def auxiliary_active(self) -> bool:
        """Whether the auxiliary head is trained (or was, at the checkpoint that is evaluated)."""
        return self.hparams.task.size > 0 and self.hparams.weighting.active

    # --- one step ----------------------------------------------------------------------------

    def fit_batch(self, batch: list[Batch]) -> Tensor:
        """One optimiser step over this process's share, given as a list of micro-batches."""
        self.on_fit_batch_start(batch, True)
        backward = self._effective_window if self.hparams.ccc_window == "effective" else self._micro
        with memory_advice(batch[0], "micro_batch"):
            loss = backward(batch)
        self._sums["left_out" if loss is None else "steps"] += 1
        if loss is None:
            self.zero_grad(set_to_none=True)
            return torch.tensor(math.nan)
        self.optimizers_step()
        if self.schedule is not None:
            self.schedule.step()
        self.on_fit_batch_end(batch, None, loss, True)
        return loss.detach().cpu()

    def _micro(self, batches: list[Batch]) -> Tensor | None:
        """The loss of each micro-batch by itself, as published, weighted by its share."""
        size = sum(len(batch.ids) for batch in batches)
        total = torch.zeros((), device=self.device)
        for number, batch in enumerate(batches):
            loss = self.compute_objectives(self._forward(batch, number), batch, Stage.TRAIN)
            loss = loss * len(batch.ids) / size
            if not self._backward(loss, [batch]):
                return None
            total += loss.detach()
        return total

    def _effective_window(self, batches: list[Batch]) -> Tensor | None:
        """The loss over all micro-batches together, exactly, with one micro-batch's memory.

        Predictions come first without gradients; the loss's gradient with respect to them is then
        handed to a second pass, which draws the same dropout as the first.
        """
        if len(batches) == 1:
            output = self._forward(batches[0], 0)
            loss = self.compute_objectives(output, batches[0], Stage.TRAIN)
            return loss if self._backward(loss, batches) else None
        with torch.no_grad():
            outputs = [self._forward(batch, number) for number, batch in enumerate(batches)]
        joined = Output.join(outputs).leaves()
        loss = self.compute_objectives(joined, Labels.join(batches), Stage.TRAIN)
        if not self._backward(loss, batches):
            return None
        sizes = [len(batch.ids) for batch in batches]
        gradients = [joined.vad.grad.split(sizes)]
        if joined.logits is not None:
            gradients.append(joined.logits.grad.split(sizes))
        for number, batch in enumerate(batches):
            output = self._forward(batch, number)
            tensors = [output.vad, output.logits][: len(gradients)]
            torch.autograd.backward(tensors, [gradient[number] for gradient in gradients])
        return loss

    def _forward(self, batch: Batch, number: int) -> Output:
        """Forward pass with random states that are a function of (seed, step, micro-batch).

        So a second pass draws the same dropout, and a restarted run the same as one left alone.
        """
        rank = sb.utils.distributed.get_rank() or 0
        seed_all(self.hparams.seed, self.optimizer_step, number, rank)
        # A context of its own for each pass: autocast keeps casted weights, and those that a pass
        # without gradients leaves behind would cut the next one's graph.
        with self.training_ctx:
            output = self.compute_forward(batch, Stage.TRAIN)
        logits = None if output.logits is None else output.logits.float()
        return Output(output.vad.float(), logits)

    def _backward(self, loss: Tensor, batches: list[Batch]) -> bool:
        """Back-propagate a finite loss; count and name what is not, and leave it."""
        if bool(torch.isfinite(loss)):
            self.scaler.scale(loss).backward()
            return True
        self.nonfinite_count += 1
        ids = [name for batch in batches for name in batch.ids]
        logger.warning("Loss is %s; the step is left out. Utterances: %s", float(loss), ids)
        if self.nonfinite_count > self.nonfinite_patience:
            raise ValueError(
                f"The loss was not finite {self.nonfinite_count} times in this epoch, more than "
                f"nonfinite_patience ({self.nonfinite_patience}). Last utterances: {ids}. Lower "
                f"the learning rate, or train in --precision=bf16 or fp32."
            )
        return False

    def optimizers_step(self) -> None:
        """Unscale, clip over *all* parameters, step."""
        for optimizer in self.optimizers_dict.values():
            self.scaler.unscale_(optimizer)
        trainable = [
            p for o in self.optimizers_dict.values() for g in o.param_groups for p in g["params"]
        ]
        if math.isfinite(self.max_grad_norm):
            clip_grad_norm_(trainable, self.max_grad_norm)
        for optimizer in self.optimizers_dict.values():
            self.scaler.step(optimizer)
        self.scaler.update()
        self.zero_grad(set_to_none=True)
        self.optimizer_step += 1

    def init_optimizers(self) -> None:
        """One optimiser with three groups: backbone, learned loss weights, and everything else."""
        rates = self.hparams.lr_backbone, self.hparams.lr_weighting
        self.optimizer = self.opt_class(parameter_groups(self.modules, *rates))
        self.optimizers_dict = {"optimizer": self.optimizer}
        self.schedule = self.hparams.schedule(self.optimizer)
        if self.checkpointer is not None:
            self.checkpointer.add_recoverable("optimizer", self.optimizer)
            self.checkpointer.add_recoverable("schedule", self.schedule)

    # --- stages ------------------------------------------------------------------------------

    def on_stage_start(self, stage: Stage, epoch: int | None = None) -> None:
        """Set the dynamic weight of this epoch and forget the last set's predictions."""
        self.predictions = {}
        if stage == Stage.TRAIN:
            self.hparams.weighting.set_epoch(epoch)
            self.modules.encoder.set_epoch(epoch)
            self._sums = defaultdict(float)
            self._since = time.time()

    def evaluate_batch(self, batch: Batch, stage: Stage) -> Tensor:
        """Keep the predictions; figures are computed once over the whole set, never per batch."""
        with self.evaluation_ctx, memory_advice(batch, "eval_batch"):
            output = self.compute_forward(batch, stage)
        vad = output.vad.float().cpu()
        logits = output.logits
        logits = [None] * len(vad) if logits is None else logits.float().cpu()
        for row, name in enumerate(batch.ids):
            self.predictions[name] = (vad[row], logits[row], batch.vad[row], batch.target[row])
        return torch.zeros(())

    def on_stage_end(self, stage: Stage, stage_loss: float, epoch: int | None = None) -> None:
        """Log, keep the best checkpoint by mean CCC over the development set, stop early."""
        if stage == Stage.TRAIN:
            if not self._sums["steps"] and self._sums["left_out"]:
                raise ValueError(
                    f"No step of epoch {epoch} had a finite loss. Is there audio with NaN, or is "
                    f"the learning rate far too high?"
                )
            self.train_stats = self._train_figures(stage_loss)
        elif stage == Stage.VALID:
            figures = self.figures()
            self._log(epoch, figures)
            score = figures["mean_ccc"]
            # A model that predicts one value for all has no CCC; it is worse than any other.
            score = -1.0 if math.isnan(score) else score
            self.seconds += time.time() - self._since
            meta = {"epoch": epoch, "mean_ccc": score, "head": self.head_figures}
            # Before saving, so that a stop by patience is in the checkpoint as well.
            self.hparams.epoch_counter.update_metric(score)
            self.checkpointer.save_and_keep_only(
                meta={**meta, "seconds": self.seconds}, max_keys=["mean_ccc"]
            )

    def _log(self, epoch: int, figures: dict) -> None:
        about = {"epoch": epoch, "lr": self.optimizer.param_groups[0]["lr"]}
        for log in self.hparams.loggers:
            log.log_stats(about, train_stats=self.train_stats, valid_stats=figures)

    def _train_figures(self, loss: float) -> dict:
        sums, count = self._sums, max(self._sums["objectives"], 1)
        figures = {"loss": loss, "vad_loss": float(sums["vad_loss"] / count)}
        if self.auxiliary_active:
            figures["auxiliary_loss"] = float(sums["auxiliary_loss"] / count)
            figures["weight"] = self.hparams.weighting.weight
        if sums["undefined"]:
            figures["undefined_ccc"] = int(sums["undefined"])
        return figures

    def figures(self) -> dict:
        """Figures of the set whose predictions are kept: CCC by dimension, and the head's."""
        vad, logits, truth, target = zip(*self.predictions.values(), strict=True)
        regression = regression_metrics(torch.stack(truth).numpy(), torch.stack(vad).numpy())
        figures = {name: regression[name]["ccc"] for name in DIMENSIONS}
        figures["mean_ccc"] = regression["mean_ccc"]
        if logits[0] is not None:
            classes = torch.stack(logits).argmax(dim=1).numpy()
            head = classification_metrics(torch.stack(target).numpy(), classes)
            self.head_figures = {"epoch": self.hparams.epoch_counter.current, **head}
            figures |= {f"head_{name}": value for name, value in head.items()}
        return figures

    def on_fit_start(self) -> None:
        """Recover the last checkpoint, then see that the longest batch fits into memory."""
        super().on_fit_start()
        self._best_loaded = False
        last = None if self.checkpointer is None else self.checkpointer.find_checkpoint()
        # The head's last figures are from an epoch that a resumed run may not see again.
        meta = {} if last is None else last.meta
        self.head_figures, self.seconds = meta.get("head", {}), meta.get("seconds", 0.0)
        if self.hparams.longest_batches is not None:
            self.dry_run(*(make() for make in self.hparams.longest_batches))

    def dry_run(self, train: Batch, valid: Batch) -> None:
        """Run the longest batches of training and evaluation: a lack of memory shows now.

        Room for the optimiser's two moments is taken meanwhile: they come with the first step.
        """
        trainable = [p for p in self.modules.parameters() if p.requires_grad]
        moments = [] if self.optimizer.state else [torch.empty_like(p) for p in trainable * 2]
        self.modules.train()
        with memory_advice(train, "micro_batch"):
            output = self._forward(train, 0)
            total = sum(t.square().sum() for t in (output.vad, output.logits) if t is not None)
            self.scaler.scale(total).backward()
        self.zero_grad(set_to_none=True)
        self.modules.eval()
        with torch.no_grad():
            self.evaluate_batch(valid, Stage.VALID)
        del moments

    def predict(self, loader: DataLoader) -> tuple[dict, dict | None]:
        """Predict a set with the best checkpoint.

        Returns
        -------
        tuple
            VAD by id, (3,) in [-1, 1], and class probabilities by id; ``None`` in place of these
            where the auxiliary head was no longer trained at that checkpoint.
        """
        self.evaluate(loader, max_key="mean_ccc")
        undefined = [n for n, kept in self.predictions.items() if not kept[0].isfinite().all()]
        if undefined:
            raise ValueError(
                f"The model's prediction is not finite for {len(undefined)} utterances, such as "
                f"{', '.join(undefined[:5])}: figures over the rest would not be this set's."
            )
        vad = {name: kept[0].double().numpy() for name, kept in self.predictions.items()}
        if not self.auxiliary_active:
            return vad, None
        scores = {
            name: kept[1].double().softmax(0).numpy() for name, kept in self.predictions.items()
        }
        return vad, scores

    def best_checkpoint_meta(self) -> dict:
        """Epoch, mean CCC and the auxiliary head's last figures, at the best checkpoint."""
        return self.checkpointer.find_checkpoint(max_key="mean_ccc").meta

    def on_evaluate_start(self, max_key: str | None = None, min_key: str | None = None) -> None:
        """Load the best checkpoint, once for all the sets that follow."""
        if not self._best_loaded:
            super().on_evaluate_start(max_key, min_key)
            self._best_loaded = True
