"""EmoSphereBrain: training and evaluation of the joint model on one or several processes."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import speechbrain as sb
import torch
from speechbrain.core import Stage
from speechbrain.utils.checkpoints import Checkpoint
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from emosphere_sb import distributed
from emosphere_sb.data.dataset import Batch
from emosphere_sb.data.unreadable import UnreadableAudio, check_all_readable
from emosphere_sb.training import evaluation, optimisation
from emosphere_sb.training.backward import (
    StepContext,
    StepLoss,
    backward_function,
    gather_share,
    report_nonfinite,
)
from emosphere_sb.training.batch_outputs import Labels, Output
from emosphere_sb.training.checkpoints import INTRA_EPOCH
from emosphere_sb.training.epoch_counter import UNDEFINED_SCORE
from emosphere_sb.training.head_tests import HEAD_WEIGHTS
from emosphere_sb.training.preemption import StoppedError, StopRequest
from emosphere_sb.training.run_options import validate_run_options
from emosphere_sb.training.train_statistics import TrainStatistics
from emosphere_sb.training.trained_weights import averaged_epochs


class EmoSphereBrain(sb.Brain):
    """Brain for joint training of VAD regression (CCC loss) and an auxiliary task (cross-entropy).

    ``modules`` must contain ``normaliser``, ``encoder``, ``pooling``, ``vad_head`` and, with an
    auxiliary task, ``auxiliary_head``. ``hparams`` must contain ``task``, ``regression_loss``,
    ``weighting``, ``ccc_window``, ``seed``, ``lr_backbone``, ``lr_loss_weights``,
    ``lr_layer_weights``, ``epoch_counter``, ``test_weights`` and ``average_checkpoints``.

    Arguments
    ---------
    modules, opt_class, hparams, run_opts, checkpointer
        See ``speechbrain.core.Brain``.
    schedule : callable
        Function that creates the learning-rate scheduler of an optimiser.
    set_sizes : mapping
        Number of utterances in the sets ``train`` and ``valid``.
    loggers : sequence
        SpeechBrain train loggers; each epoch is logged to all of them.
    memory_check_batches : callable
        Function that returns the training batch and the evaluation batch that need the most
        memory. They are run before the first epoch. (default: no memory check)
    initialise : callable
        Function that is called with the Brain before the first epoch of a new run, but not when a
        run is resumed. (default: nothing is called)
    progress : callable
        Function that is called after each epoch with the metrics of the training set, those of the
        development set, and the training time so far in seconds. (default: nothing is called)

    Raises
    ------
    ValueError
        If a run option is not supported, or ``ccc_window`` or ``test_weights`` is invalid.
    """

    def __init__(
        self,
        modules: Mapping[str, torch.nn.Module],
        opt_class: Callable[[list[dict]], Optimizer],
        hparams: Mapping,
        run_opts: Mapping | None = None,
        checkpointer=None,
        *,
        schedule: Callable[[Optimizer], LRScheduler],
        set_sizes: Mapping[str, int],
        loggers: Sequence = (),
        memory_check_batches: Callable[[], tuple[Batch, Batch]] | None = None,
        initialise: Callable[[EmoSphereBrain], None] | None = None,
        progress: Callable[[Mapping, Mapping, float], None] | None = None,
    ):
        super().__init__(modules, opt_class, hparams, run_opts, checkpointer)
        validate_run_options(vars(self))
        # In a file, each update of a progress bar would remain visible.
        self.noprogressbar = self.noprogressbar or not sys.stderr.isatty()
        self.schedule: LRScheduler | None = None  # until `init_optimizers`
        self.set_sizes, self.loggers = set_sizes, loggers
        self.stop = StopRequest()
        self.missing = UnreadableAudio()
        self.statistics = TrainStatistics()
        self.predictions: dict[
            str, evaluation.LabelledOutput
        ] = {}  # of the set evaluated last, by id
        self.head_metrics: dict = {}  # of the last epoch in which the auxiliary head was active
        self.tested_checkpoints: list[Checkpoint] = []  # those whose weights are tested
        self.seconds = 0.0  # training time over all restarts
        self._clock = time.time()  # when `seconds` was last updated
        self._make_schedule = schedule
        self._memory_check_batches = memory_check_batches
        self._initialise, self._progress = initialise, progress
        self._averaged_epochs = averaged_epochs(
            self.hparams.test_weights, self.hparams.average_checkpoints
        )
        self._backward = backward_function(self.hparams.ccc_window)
        self._train_metrics: dict = {}
        self._stopping = False  # whether any process has received a request to stop
        self._unreadable: dict[str, str] = {}  # of the set under evaluation: reasons by id
        # Steps and mean loss of an epoch that is trained but not yet evaluated.
        self._trained: tuple[int, float] | None = None

    # --- forward and objectives --------------------------------------------------------------

    def compute_forward(self, batch: Batch, stage: Stage) -> Output:
        """Compute VAD and, while the auxiliary task is active, class scores."""
        lengths = batch.lengths  # of a batch on the CPU: reading them does not wait for the GPU
        batch, encoder = batch.to(self.device), self.modules.encoder
        if batch.cached:
            frames, lengths = encoder.combine(batch.signals, batch.lengths), batch.lengths
        else:
            signals = self.modules.normaliser(batch.signals, batch.lengths)
            frames, lengths = encoder(signals, lengths)
        utterance = self.modules.pooling(frames, lengths)
        # Tests also score a head that is no longer trained (see `head_metrics_of_test`).
        scored = self.auxiliary_active or (stage == Stage.TEST and self.hparams.task.size > 0)
        logits = self.modules.auxiliary_head(utterance) if scored else None
        return Output(self.modules.vad_head(utterance), logits)

    def compute_objectives(
        self, predictions: Output, batch: Batch | Labels, stage: Stage
    ) -> Tensor:
        """Compute the joint loss in float32: CCC plus the weighted auxiliary loss."""
        vad = batch.vad.to(self.device, non_blocking=True)
        target = batch.target.to(self.device, non_blocking=True)
        known = ~vad.isnan()
        loss = self.hparams.regression_loss(
            self._standardise(predictions.vad), self._standardise(vad), known
        )
        undefined = self.hparams.regression_loss.undefined(known)
        self.statistics.add(regression_loss=loss.detach(), undefined=undefined, objectives=1)
        if predictions.logits is None:
            return loss
        auxiliary = self.hparams.task(predictions.logits, target, vad)
        self.statistics.add(auxiliary_loss=auxiliary.detach())
        return self.hparams.weighting(loss, auxiliary)

    def _standardise(self, vad: Tensor) -> Tensor:
        """Convert predictions or labels to the scale of the loss."""
        head = self.modules.vad_head
        return head.standardise(vad) if getattr(head, "standardise_labels", False) else vad

    @property
    def auxiliary_active(self) -> bool:
        """Whether the auxiliary head is trained in the current (or the loaded) epoch."""
        return self.hparams.task.size > 0 and self.hparams.weighting.active

    # --- one optimiser step ------------------------------------------------------------------

    def fit_batch(self, batch: list[Batch]) -> Tensor:
        """Take one optimiser step on the share of this process.

        Arguments
        ---------
        batch : list of Batch
            Micro-batches of this process.

        Returns
        -------
        torch.Tensor
            Loss over all processes, scalar; NaN if the step was skipped.
        """
        self.on_fit_batch_start(batch, True)
        share = gather_share(batch, stop_requested=self.stop.received, device=self.device)
        self._stopping = share.stop_requested
        if share.any_unreadable:
            self.missing.note("train", share.unreadable, size=self.set_sizes["train"])
        self.statistics.start_step()
        loss = self._step(share.batches, share.sizes) if sum(share.sizes) else None
        if loss is None:
            self.statistics.skip_step()
            self.zero_grad(set_to_none=True)
            return torch.tensor(math.nan)
        self.statistics.end_step()
        if self.schedule is not None:
            self.schedule.step()
        self.on_fit_batch_end(share.batches, None, loss, True)
        return loss

    def _step(self, batches: list[Batch], sizes: list[int]) -> Tensor | None:
        """Take the step; return None instead if the loss or a gradient is not finite."""
        with optimisation.memory_advice(batches, "micro_batch"):
            loss = self.backward(batches, sizes)
        if loss.finite and self.optimizers_step():
            return loss.value
        report_nonfinite(
            batches, loss, count=self.statistics.count_nonfinite(), patience=self.nonfinite_patience
        )
        return None

    def backward(self, batches: list[Batch], sizes: list[int]) -> StepLoss:
        """Run the backward pass selected by ``ccc_window`` for the share of this process."""
        step = StepContext(
            forward=self.forward_train,
            objective=partial(self.compute_objectives, stage=Stage.TRAIN),
            statistics=self.statistics,
            classes=self.hparams.task.size if self.auxiliary_active else 0,
            loss_weights=list(self.hparams.weighting.parameters()),
            scaler=self.scaler,
            device=self.device,
        )
        return self._backward(batches, sizes, step)

    def forward_train(self, batch: Batch, index: int) -> Output:
        """Run a forward pass with random states that depend on (seed, step, micro-batch, rank).

        Therefore, a second pass uses the same dropout, and a resumed run matches an uninterrupted
        one.
        """
        optimisation.seed_all(self.hparams.seed, self.optimizer_step, index, distributed.rank())
        # A new context for each pass: autocast caches casted weights, and weights cached in a pass
        # without gradients would detach the graph of the next one.
        with self.training_ctx:
            output = self.compute_forward(batch, Stage.TRAIN)
        logits = None if output.logits is None else output.logits.float()
        return Output(output.vad.float(), logits)

    def optimizers_step(self) -> bool:
        """Clip gradients and take a step; if a gradient is not finite, skip it and return False."""
        optimizers = self.optimizers_dict.values()
        if not optimisation.step_optimizers(optimizers, self.scaler, self.max_grad_norm):
            return False
        self.zero_grad(set_to_none=True)
        self.optimizer_step += 1
        return True

    def init_optimizers(self) -> None:
        """Create the optimiser, with the groups of ``parameter_groups``, and its scheduler."""
        self.optimizer = self.opt_class(
            optimisation.parameter_groups(
                self.modules,
                lr_backbone=self.hparams.lr_backbone,
                lr_loss_weights=self.hparams.lr_loss_weights,
                lr_layer_weights=self.hparams.lr_layer_weights,
            )
        )
        self.optimizers_dict = {"optimizer": self.optimizer}
        self.schedule = self._make_schedule(self.optimizer)
        if self.checkpointer is not None:
            self.checkpointer.add_recoverable("optimizer", self.optimizer)
            self.checkpointer.add_recoverable("schedule", self.schedule)

    # --- start of training -------------------------------------------------------------------

    def on_fit_start(self) -> None:
        """Load the last checkpoint, then check that the longest batches fit into memory."""
        self.checkpointer.remove_partial()
        self._compile()
        self.init_optimizers()
        last = self.checkpointer.recover_if_possible()
        distributed.broadcast_state(self.modules)
        self.tested_checkpoints = []
        logs = self.checkpointer.recoverables["loggers"]
        if last is None:
            logs.clear()
        logs.start()
        if last is None and self._initialise is not None:
            self._initialise(self)
        # A resumed run may not repeat the epoch of the head's last metrics.
        meta = {} if last is None else last.meta
        self.head_metrics, self.seconds = meta.get("head", {}), meta.get("seconds", 0.0)
        if self._memory_check_batches is not None:
            self.check_memory(*self._memory_check_batches())

    def check_memory(self, train: Batch, valid: Batch) -> None:
        """Run the longest batches of training and evaluation, without changing the model.

        The check is skipped if no audio of a batch could be read; training reports this error.
        """
        self.modules.train()
        if not train.ids or not valid.ids:
            return
        with optimisation.reserve_optimizer_state(self.modules, self.optimizer):
            with optimisation.memory_advice([train], "micro_batch"):
                output = self.forward_train(train, 0)
                total = sum(tensor.square().sum() for tensor in output.tensors)
                self.scaler.scale(total).backward()
            self.zero_grad(set_to_none=True)
            self.modules.eval()
            with torch.no_grad():
                self._predict_batch(valid, Stage.VALID)

    def _wrap_distributed(self) -> None:
        """Do nothing: gradients are summed in the step; see :mod:`emosphere_sb.distributed`."""

    # --- stages ------------------------------------------------------------------------------

    def on_stage_start(self, stage: Stage, epoch: int | None = None) -> None:
        """Set the epoch for weighting and freezing, and clear the predictions of the last set."""
        self.predictions, self._unreadable = {}, {}
        if stage == Stage.TRAIN:
            self.hparams.weighting.set_epoch(epoch)
            self.modules.encoder.set_epoch(epoch)
            if not self.step:  # otherwise it was resumed within the epoch
                self.statistics.start_epoch()
            self._trained, self._clock = None, time.time()

    def on_stage_end(self, stage: Stage, stage_loss: float, epoch: int | None = None) -> None:
        """Log metrics and save a checkpoint, ranked by the mean CCC over the development set."""
        if stage == Stage.TRAIN:
            self.statistics.check_any_step(epoch)
            self._trained = self.step, stage_loss
            self._train_metrics = self.train_metrics(stage_loss)
            return
        self.predictions = evaluation.gather_predictions(self.predictions)
        if stage == Stage.TEST:
            check_all_readable(self._unreadable)
            return
        self.missing.note("valid", self._unreadable, size=self.set_sizes["valid"])
        metrics = self.metrics()
        rates = {"epoch": epoch, "lr": self.optimizer.param_groups[0]["lr"]}
        for log in self.loggers:
            log.log_stats(
                rates, train_stats=self._train_metrics, valid_stats=metrics, verbose=False
            )
        # The CCC of a constant prediction is undefined: rank it below all others.
        score = UNDEFINED_SCORE if math.isnan(metrics["mean_ccc"]) else metrics["mean_ccc"]
        # Before saving, so that the checkpoint contains the decision to stop early.
        self.hparams.epoch_counter.update_metric(score)
        self._trained = None
        if self.auxiliary_active and not self.hparams.weighting.active_next:
            self.checkpointer.save_weights(HEAD_WEIGHTS, {"epoch": epoch})
        self._save_checkpoint({"epoch": epoch, "mean_ccc": score})
        if self._progress is not None:
            self._progress(self._train_metrics, metrics, self.seconds)

    def train_metrics(self, loss: float) -> dict:
        """Return the mean losses of this epoch, given the mean of the joint loss."""
        weight = self.hparams.weighting.weight if self.auxiliary_active else None
        return self.statistics.metrics(loss, weight=weight)

    # --- evaluation --------------------------------------------------------------------------

    def evaluate_batch(self, batch: Batch, stage: Stage) -> Tensor:
        """Store the predictions; metrics are computed over the entire set, not per batch."""
        if self.stop.received and distributed.is_main_process():
            # Processes are not synchronised here: if the main process exits, so do the
            # others.
            if stage == Stage.VALID:
                raise self._save_and_stop()
            raise StoppedError("training is complete, and the test will be repeated")
        self._predict_batch(batch, stage)
        return torch.zeros(())

    def _predict_batch(self, batch: Batch, stage: Stage) -> None:
        self._unreadable.update(batch.missing)
        if batch.ids:
            with self.evaluation_ctx, optimisation.memory_advice([batch], "eval_batch"):
                output = self.compute_forward(batch, stage)
            self.predictions.update(evaluation.split_predictions(batch, output))

    def metrics(self) -> dict:
        """Compute the metrics of the evaluated set: CCC by dimension, mean CCC, auxiliary head."""
        metrics, head = evaluation.evaluation_metrics(self.predictions)
        if head:
            self.head_metrics = {"epoch": self.hparams.epoch_counter.current, **head}
        return metrics | {f"head_{name}": value for name, value in head.items()}

    def predict(self, loader: DataLoader) -> tuple[dict, dict | None]:
        """Predict a set with the best checkpoint.

        Arguments
        ---------
        loader : torch.utils.data.DataLoader
            Loader of the set; see :func:`emosphere_sb.data.dataset.eval_loader`.

        Returns
        -------
        tuple
            VAD values by id, nominally in [-1, 1], shape (3,); and class probabilities by id, or
            None if the auxiliary head was not trained in the epoch of the checkpoint, unless the
            task is ``always_predicted`` and the head was trained before.
        """
        self.evaluate(loader, max_key="mean_ccc")
        vad, probabilities = evaluation.prediction_arrays(self.predictions)
        trained = bool(self.tested_checkpoints[0].meta["head"])
        used = self.auxiliary_active or (self.hparams.task.always_predicted and trained)
        return vad, probabilities if used else None

    def head_metrics_of_test(self) -> dict:
        """Return the metrics of the auxiliary head on the test set evaluated last.

        Returns
        -------
        dict
            Result of ``classification_metrics``; empty without an auxiliary task or without
            utterances of known class. The head may no longer be trained in the loaded epoch.
        """
        if self.hparams.task.size == 0 or not self.predictions:
            return {}
        head = evaluation.evaluation_metrics(self.predictions)[1]
        return head if head.get("n") else {}

    def on_evaluate_start(self, max_key: str | None = None, min_key: str | None = None) -> None:
        """Load the weights of the best checkpoint or the mean of the last ones."""
        if not self.tested_checkpoints:
            self.tested_checkpoints = self.checkpointer.load_tested(
                self._averaged_epochs, max_key=max_key
            )

    def checkpoint_metadata(self) -> dict:
        """Return the epochs of the tested weights and the last metrics of the auxiliary head."""
        newest = self.tested_checkpoints[0].meta
        epochs = sorted(checkpoint.meta["epoch"] for checkpoint in self.tested_checkpoints)
        which = (
            {"averaged_epochs": epochs}
            if self._averaged_epochs
            else {"best_epoch": newest["epoch"]}
        )
        return {**which, "auxiliary_head": newest["head"]}

    # --- checkpoints and preemption ----------------------------------------------------------

    def state_dict(self) -> dict:
        """Return the progress within the epoch, saved in checkpoints as ``brain``."""
        # SpeechBrain resets both before the evaluation at the end of the epoch.
        step, loss = self._trained or (self.step, self.avg_train_loss)
        return {
            "step": step,
            "avg_train_loss": float(loss),
            "optimizer_step": self.optimizer_step,
            "sums": self.statistics.state_dict(),
            "left_out": self.missing.reasons,
        }

    def load_state_dict(self, state: dict) -> None:
        """Restore the progress within the epoch."""
        self.step, self.avg_train_loss = state["step"], state["avg_train_loss"]
        self.optimizer_step = state["optimizer_step"]
        self.statistics.load_state_dict(state["sums"])
        self.missing.reasons = state["left_out"]

    def _save_checkpoint(self, meta: dict, *, end_of_epoch: bool = True) -> None:
        """Save a checkpoint with training time and head metrics, and delete old checkpoints."""
        now = time.time()
        self.seconds, self._clock = self.seconds + now - self._clock, now
        meta = {**meta, "head": self.head_metrics, "seconds": self.seconds}
        self.checkpointer.save_checkpoint(meta, end_of_epoch=end_of_epoch, verbosity=logging.DEBUG)
        self.checkpointer.prune(best="mean_ccc", last=max(1, self._averaged_epochs))

    def _save_intra_epoch_ckpt(self) -> None:
        """Save between two steps; called by SpeechBrain at the intervals set in its run options."""
        self._save_checkpoint({INTRA_EPOCH: True}, end_of_epoch=False)

    def _save_and_stop(self) -> StoppedError:
        """Save a checkpoint, and return the error that ends the run."""
        self._save_intra_epoch_ckpt()
        step = self._trained[0] if self._trained else self.step
        epoch = self.hparams.epoch_counter.current
        return StoppedError(f"checkpoint saved at epoch {epoch}, step {step}")

    def _should_save_intra_epoch_ckpt(self, last_ckpt_time, steps_since_ckpt) -> bool:
        """After each step, save and stop if any process has received a request to stop."""
        if self._stopping:
            stopped = self._save_and_stop()
            distributed.barrier()  # while the main process writes
            raise stopped
        return super()._should_save_intra_epoch_ckpt(last_ckpt_time, steps_since_ckpt)
