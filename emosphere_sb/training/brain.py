"""EmoSphereBrain: what happens between the steps: epochs, evaluation, checkpoints, figures."""

from __future__ import annotations

import logging
import math
import time
from collections import defaultdict

import torch
from speechbrain.core import Stage
from speechbrain.utils.checkpoints import Checkpoint
from torch import Tensor
from torch.utils.data import DataLoader

from emosphere_sb import distributed
from emosphere_sb.data.dataset import Batch
from emosphere_sb.metrics import classification_metrics, regression_metrics
from emosphere_sb.scale import DIMENSIONS
from emosphere_sb.training.checkpoints import INTRA_EPOCH
from emosphere_sb.training.optimisation import gather_predictions, memory_advice
from emosphere_sb.training.preemption import StoppedError
from emosphere_sb.training.step_brain import JointStepBrain

logger = logging.getLogger(__name__)


class EmoSphereBrain(JointStepBrain):
    """Joint training of the VAD regression (CCC) and the auxiliary task (spherical cross-entropy).

    Beside SpeechBrain's arguments it expects in ``hparams``: ``task``, ``regression_loss``, ``weighting``,
    ``ccc_window``, ``seed``, ``lr_backbone``, ``lr_loss_weights``, ``schedule``, ``epoch_counter``,
    ``loggers``, ``longest_batches`` (None: no dry run), ``set_sizes`` (utterances of each set),
    ``average_checkpoints``, and in ``modules``: ``normaliser``,
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
        self.predictions: dict[str, tuple[Tensor, ...]] = {}
        self.seconds, self._since = 0.0, time.time()  # of training, over all restarts
        self.train_stats, self.head_figures = {}, {}
        self.tested: list[Checkpoint] = []  # those whose weights are tested; none before that
        # Steps and mean loss of an epoch whose training is over and whose evaluation is not.
        self._trained: tuple[int, float] | None = None
        if self.checkpointer is not None:
            self.checkpointer.recoverables["brain"] = Progress(self)

    # --- stages ------------------------------------------------------------------------------

    def on_stage_start(self, stage: Stage, epoch: int | None = None) -> None:
        """Set the dynamic weight of this epoch and forget the last set's predictions."""
        self.predictions, self._unread = {}, {}
        if stage == Stage.TRAIN:
            self.hparams.weighting.set_epoch(epoch)
            self.modules.encoder.set_epoch(epoch)
            if not self.step:  # otherwise it goes on within the epoch
                self._sums = defaultdict(float)
            self._trained, self._since = None, time.time()

    def evaluate_batch(self, batch: Batch, stage: Stage) -> Tensor:
        """Keep the predictions; figures are computed once over the whole set, never per batch."""
        if self.stop.came and distributed.is_main_process():
            self._stop(within=stage == Stage.VALID, together=False)
        self._keep_predictions(batch, stage)
        return torch.zeros(())

    def _keep_predictions(self, batch: Batch, stage: Stage) -> None:
        self._unread.update(batch.missing)
        if not batch.ids:
            return
        with self.evaluation_ctx, memory_advice([batch], "eval_batch"):
            output = self.compute_forward(batch, stage)
        vad = output.vad.float().cpu()
        logits = output.logits
        logits = [None] * len(vad) if logits is None else logits.float().cpu()
        for row, name in enumerate(batch.ids):
            self.predictions[name] = (vad[row], logits[row], batch.vad[row], batch.target[row])

    def on_stage_end(self, stage: Stage, stage_loss: float, epoch: int | None = None) -> None:
        """Log, keep the best checkpoint by mean CCC over the development set, stop early."""
        if stage == Stage.TRAIN:
            if not self._sums["steps"] and self._sums["left_out"]:
                raise ValueError(
                    f"No step of epoch {epoch} had a finite loss. Is there audio with NaN, or is "
                    f"the learning rate far too high?"
                )
            self._trained = self.step, stage_loss
            self.train_stats = self._train_figures(stage_loss)
            return
        self.predictions = gather_predictions(self.predictions)
        if stage == Stage.TEST:
            self._refuse_unread()
            return
        self.missing.note("valid", self._unread, size=self.hparams.set_sizes["valid"])
        figures = self.figures()
        self._log(epoch, figures)
        score = figures["mean_ccc"]
        # A model that predicts one value for all has no CCC; it is worse than any other.
        score = -1.0 if math.isnan(score) else score
        self.seconds += time.time() - self._since
        meta = {"epoch": epoch, "mean_ccc": score, "head": self.head_figures}
        # Before saving, so that a stop by patience is in the checkpoint as well.
        self.hparams.epoch_counter.update_metric(score)
        self._trained = None
        self.checkpointer.save_checkpoint({**meta, "seconds": self.seconds})
        last = max(1, self.hparams.average_checkpoints)
        self.checkpointer.prune(best="mean_ccc", last=last)

    def _refuse_unread(self) -> None:
        """Figures over the rest would not be this set's."""
        unread = [
            why for share in distributed.all_gather_object(self._unread) for why in share.values()
        ]
        if unread:
            raise ValueError(
                f"The audio of {len(unread)} utterances that are to be tested cannot be read: "
                f"{'; '.join(unread[:5])}. Mend the files and start the same command again: the "
                f"model is trained."
            )

    def _save_intra_epoch_ckpt(self) -> None:
        """SpeechBrain calls this between two steps, at the intervals of its run options."""
        self.seconds += time.time() - self._since
        self._since = time.time()
        meta = {INTRA_EPOCH: True, "seconds": self.seconds, "head": self.head_figures}
        self.checkpointer.save_checkpoint(meta, end_of_epoch=False)
        self.checkpointer.prune(best="mean_ccc", last=max(1, self.hparams.average_checkpoints))

    def _should_save_intra_epoch_ckpt(self, last_ckpt_time, steps_since_ckpt) -> bool:
        """Asked after each step, in every process: the moment at which a run can be stopped."""
        if self._stopping:
            self._stop(within=True, together=True)
        return super()._should_save_intra_epoch_ckpt(last_ckpt_time, steps_since_ckpt)

    def _stop(self, *, within: bool, together: bool) -> None:
        """Save, where there is something to save, and leave.

        In an evaluation the processes do not meet: the main one goes alone, which ends the others.
        """
        if within:
            self._save_intra_epoch_ckpt()
        if together:
            distributed.barrier()  # while the main process writes
        raise StoppedError

    def _log(self, epoch: int, figures: dict) -> None:
        about = {"epoch": epoch, "lr": self.optimizer.param_groups[0]["lr"]}
        for log in self.hparams.loggers:
            log.log_stats(about, train_stats=self.train_stats, valid_stats=figures)

    def _train_figures(self, loss: float) -> dict:
        sums = defaultdict(float, {name: float(value) for name, value in self._sums.items()})
        count = max(sums["objectives"], 1)
        figures = {"loss": loss, "regression_loss": sums["regression_loss"] / count}
        if self.auxiliary_active:
            figures["auxiliary_loss"] = sums["auxiliary_loss"] / count
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
        self.checkpointer.remove_partial()
        self._compile()
        self.init_optimizers()
        last = self.checkpointer.recover_if_possible()
        distributed.share_state(self.modules)
        self.tested = []
        if last is None:
            self.checkpointer.recoverables["loggers"].clear()
        # The head's last figures are from an epoch that a resumed run may not see again.
        meta = {} if last is None else last.meta
        self.head_figures, self.seconds = meta.get("head", {}), meta.get("seconds", 0.0)
        if self.hparams.longest_batches is not None:
            self.check_memory(*(make() for make in self.hparams.longest_batches))

    def check_memory(self, train: Batch, valid: Batch) -> None:
        """Run the longest batches of training and evaluation: a lack of memory shows now.

        Room for the optimiser's two moments is taken meanwhile: they come with the first step.
        """
        trainable = [p for p in self.modules.parameters() if p.requires_grad]
        moments = [] if self.optimizer.state else [torch.empty_like(p) for p in trainable * 2]
        self.modules.train()
        if not train.ids or not valid.ids:  # audio that cannot be read: training says so
            return
        with memory_advice([train], "micro_batch"):
            output = self._forward(train, 0)
            total = sum(t.square().sum() for t in (output.vad, output.logits) if t is not None)
            self.scaler.scale(total).backward()
        self.zero_grad(set_to_none=True)
        self.modules.eval()
        with torch.no_grad():
            self._keep_predictions(valid, Stage.VALID)  # nothing to save if told to stop here
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

    def on_evaluate_start(self, max_key: str | None = None, min_key: str | None = None) -> None:
        """Load the best checkpoint's weights, or the mean of the last, once for all sets."""
        if self.tested:
            return
        average = self.hparams.average_checkpoints
        self.tested = self.checkpointer.load_tested(average, max_key=max_key)

    def checkpoint_metadata(self) -> dict:
        """Of which epochs the tested weights are, and the auxiliary head's last figures there."""
        newest, averaged = self.tested[0].meta, self.hparams.average_checkpoints
        epochs = sorted(checkpoint.meta["epoch"] for checkpoint in self.tested)
        which = {"averaged_epochs": epochs} if averaged else {"best_epoch": newest["epoch"]}
        return {**which, "auxiliary_head": newest["head"]}


class Progress:
    """Where a run stands within an epoch, as a part of its checkpoints."""

    def __init__(self, brain: EmoSphereBrain):
        self.brain = brain

    def state_dict(self) -> dict:
        """Steps, and the sums that an epoch's figures are made of."""
        brain = self.brain
        # SpeechBrain forgets both before the evaluation that belongs to them.
        step, loss = brain._trained or (brain.step, brain.avg_train_loss)
        return {
            "step": step,
            "avg_train_loss": float(loss),
            "optimizer_step": brain.optimizer_step,
            "sums": {name: float(value) for name, value in brain._sums.items()},
            "left_out": brain.missing.reasons,
        }

    def load_state_dict(self, state: dict) -> None:
        """Go on there."""
        brain = self.brain
        brain.step, brain.avg_train_loss = state["step"], state["avg_train_loss"]
        brain.optimizer_step = state["optimizer_step"]
        brain._sums = defaultdict(float, state["sums"])
        brain.missing.reasons = state["left_out"]
