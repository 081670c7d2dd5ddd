"""One optimiser step: forward pass, the joint objective, its window, gradients, the optimiser."""

from __future__ import annotations

import logging
import math
from collections import defaultdict

import speechbrain as sb
import torch
from speechbrain.core import Stage
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from emosphere_sb import distributed
from emosphere_sb.data.dataset import Batch
from emosphere_sb.data.unreadable import UnreadableAudio
from emosphere_sb.training.optimisation import (
    Labels,
    Output,
    memory_advice,
    parameter_groups,
    seed_all,
)
from emosphere_sb.training.preemption import StopRequest

logger = logging.getLogger(__name__)

WINDOWS = ("effective", "micro")
# What is summed up over the windows of an epoch, for its figures.
SUMS = ("regression_loss", "undefined", "auxiliary_loss", "objectives")
# Run options of SpeechBrain whose place this Brain's own step has taken.
UNSUPPORTED_RUN_OPTIONS = (
    "remove_vector_weight_decay", "skip_nonfinite_grads", "data_parallel_backend",
    "find_unused_parameters", "jit",
)  # fmt: skip


class JointStepBrain(sb.Brain):
    """The step of :class:`emosphere_sb.training.brain.EmoSphereBrain`, on one process or on many.

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
        for name in (name for name in UNSUPPORTED_RUN_OPTIONS if getattr(self, name)):
            raise ValueError(f"--{name} has no effect in this recipe, so it is refused.")
        if self.compile or self.compile_module_keys:
            raise ValueError(
                "--compile is refused: each utterance and batch has another length, by which the "
                "encoder cuts its work, so that PyTorch compiles anew again and again, minutes "
                "each time. Attention and convolutions are fast without it."
            )
        if self.hparams.ccc_window not in WINDOWS:
            raise ValueError(
                f"ccc_window must be one of {', '.join(WINDOWS)}; found "
                f"{self.hparams.ccc_window!r}."
            )
        self.schedule = None
        self.stop, self._stopping = StopRequest(), False
        self.missing = UnreadableAudio()
        self._unread: dict[str, str] = {}
        # Over all processes, the same in each: of this epoch, and of the step that is under way.
        self._sums: dict[str, float] = defaultdict(float)
        self._step_sums: dict[str, float] = defaultdict(float)

    def _wrap_distributed(self) -> None:
        """Nothing: gradients are summed in the step, see :mod:`emosphere_sb.distributed`."""

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
        loss = self.hparams.regression_loss(predictions.vad, vad, known)
        self._step_sums["regression_loss"] += loss.detach()
        self._step_sums["undefined"] += self.hparams.regression_loss.undefined(known)
        self._step_sums["objectives"] += 1
        if predictions.logits is None:
            return loss
        auxiliary = self.hparams.task(predictions.logits, target, vad)
        self._step_sums["auxiliary_loss"] += auxiliary.detach()
        return self.hparams.weighting(loss, auxiliary)

    @property
    def auxiliary_active(self) -> bool:
        """Whether the auxiliary head is trained (or was, at the checkpoint that is evaluated)."""
        return self.hparams.task.size > 0 and self.hparams.weighting.active

    # --- one step ----------------------------------------------------------------------------

    def fit_batch(self, batch: list[Batch]) -> Tensor:
        """One optimiser step over this process's share, given as a list of micro-batches."""
        self.on_fit_batch_start(batch, True)
        batch = self._readable(batch)
        backward = self._effective_window if self.hparams.ccc_window == "effective" else self._micro
        sizes = self._sizes(batch)
        self._step_sums.clear()
        with memory_advice(batch, "micro_batch"):
            loss = backward(batch, sizes) if sum(sizes) else None
        if loss is not None and not self.optimizers_step():
            self._leave_out(batch, loss, "The loss is finite, its gradient is not")
            loss = None
        self._sums["left_out" if loss is None else "steps"] += 1
        if loss is None:
            self.zero_grad(set_to_none=True)
            return torch.tensor(math.nan)
        for name in SUMS:
            self._sums[name] += self._step_sums[name]
        if self.schedule is not None:
            self.schedule.step()
        self.on_fit_batch_end(batch, None, loss, True)
        return loss.detach().cpu()

    def _readable(self, batches: list[Batch]) -> list[Batch]:
        """Those that hold utterances; what could not be read is noted by :meth:`_sizes`."""
        self._unread = {name: why for batch in batches for name, why in batch.missing.items()}
        return [batch for batch in batches if batch.ids]

    def _sizes(self, batches: list[Batch]) -> list[int]:
        """How many utterances of this step each process has."""
        size = sum(len(batch.ids) for batch in batches)
        numbers = [size, self.stop.came, len(self._unread)]
        told = distributed.gather_numbers(numbers, self.device)
        self._stopping = bool(told[:, 1].any())
        if told[:, 2].any():
            self.missing.note("train", self._unread, size=self.hparams.set_sizes["train"])
        return [int(size) for size in told[:, 0]]

    def _micro(self, batches: list[Batch], sizes: list[int]) -> Tensor | None:
        """The loss of each micro-batch by itself, as published, weighted by its share."""
        total, good = torch.zeros((), device=self.device), True
        for number, batch in enumerate(batches):
            loss = self.compute_objectives(self._forward(batch, number), batch, Stage.TRAIN)
            loss = loss * len(batch.ids) / sum(sizes)
            total += loss.detach()
            good = bool(torch.isfinite(loss))
            if not good:
                break
            self.scaler.scale(loss).backward()
        own = [float(self._step_sums[name]) for name in SUMS]
        told = distributed.gather_numbers([good, float(total), *own], self.device)
        total, *sums = told[:, 1:].sum(dim=0).float()
        if not told[:, 0].all():
            self._leave_out(batches, total, "The loss is not finite")
            return None
        self._step_sums.update(zip(SUMS, sums, strict=True))
        return total

    def _effective_window(self, batches: list[Batch], sizes: list[int]) -> Tensor | None:
        """The loss over the whole effective batch, exactly, with one micro-batch's memory.

        Predictions of all processes come together; the loss's gradient with respect to this
        process's own is handed back through the model. Where there are several micro-batches, they
        are predicted without gradients first, and again one by one, with the same dropout.
        """
        once = len(batches) < 2
        with torch.set_grad_enabled(once):
            outputs = [self._forward(batch, number) for number, batch in enumerate(batches)]
        own = Output.join(outputs, self._classes, self.device)
        joined = own.gather(sizes).leaves()
        labels = Labels.join(batches, self.device).gather(sizes)
        loss = self.compute_objectives(joined, labels, Stage.TRAIN)
        if not bool(torch.isfinite(loss)):
            self._leave_out(batches, loss, "The loss is not finite")
            return None
        self.scaler.scale(loss).backward()
        first = sum(sizes[: distributed.rank()])
        cuts = [len(batch.ids) for batch in batches]
        gradients = joined.gradients(first, cuts)
        for number, batch in enumerate(batches):
            output = outputs[number] if once else self._forward(batch, number)
            torch.autograd.backward(output.tensors, gradients[number])
        if distributed.rank():  # the loss's own weights have the whole gradient in each process
            for parameter in self._loss_weights():
                parameter.grad = None if parameter.grad is None else parameter.grad.zero_()
        return loss

    @property
    def _classes(self) -> int:
        """Columns of the class scores; 0 where the auxiliary head does not run."""
        return self.hparams.task.size if self.auxiliary_active else 0

    def _loss_weights(self) -> list[torch.nn.Parameter]:
        """What :class:`UncertaintyWeighting` learns."""
        return list(self.hparams.weighting.parameters())

    def _forward(self, batch: Batch, number: int) -> Output:
        """Forward pass with random states that are a function of (seed, step, micro-batch).

        So a second pass draws the same dropout, and a restarted run the same as one left alone.
        """
        seed_all(self.hparams.seed, self.optimizer_step, number, distributed.rank())
        # A context of its own for each pass: autocast keeps casted weights, and those that a pass
        # without gradients leaves behind would cut the next one's graph.
        with self.training_ctx:
            output = self.compute_forward(batch, Stage.TRAIN)
        logits = None if output.logits is None else output.logits.float()
        return Output(output.vad.float(), logits)

    def _leave_out(self, batches: list[Batch], loss: Tensor, fault: str) -> None:
        """Count and name a step whose loss or gradient is not finite; too many end the run."""
        self._sums["nonfinite"] += 1  # with the others in checkpoints within an epoch
        count = int(self._sums["nonfinite"])
        shares = distributed.all_gather_object([name for batch in batches for name in batch.ids])
        ids = [name for share in shares for name in share]
        logger.warning(
            "%s (loss %s); the step is left out. Utterances: %s", fault, loss.item(), ids
        )
        if count > self.nonfinite_patience:
            raise ValueError(
                f"The loss or its gradient was not finite {count} times in this epoch, more than "
                f"nonfinite_patience ({self.nonfinite_patience}). Last utterances: {ids}. Lower "
                f"the learning rate, or train in --precision=bf16 or fp32."
            )

    def optimizers_step(self) -> bool:
        """Sum over processes, unscale, clip over *all* parameters, step.

        ``False``, without a step, where a gradient is not finite: a finite loss may have one. An
        fp16 scaler sees to that itself, and lowers its scale, which is no fault.
        """
        trainable = [
            p for o in self.optimizers_dict.values() for g in o.param_groups for p in g["params"]
        ]
        distributed.sum_gradients(trainable)
        for optimizer in self.optimizers_dict.values():
            self.scaler.unscale_(optimizer)
        # Over the sum of all processes: each decides alike.
        norm = get_total_norm([p.grad for p in trainable if p.grad is not None])
        if not (self.scaler.is_enabled() or bool(norm.isfinite())):
            return False
        if math.isfinite(self.max_grad_norm):
            clip_grads_with_norm_(trainable, self.max_grad_norm, norm)
        for optimizer in self.optimizers_dict.values():
            self.scaler.step(optimizer)
        self.scaler.update()
        self.zero_grad(set_to_none=True)
        self.optimizer_step += 1
        return True

    def init_optimizers(self) -> None:
        """One optimiser with three groups: backbone, learned loss weights, and everything else."""
        rates = self.hparams.lr_backbone, self.hparams.lr_loss_weights
        self.optimizer = self.opt_class(parameter_groups(self.modules, *rates))
        self.optimizers_dict = {"optimizer": self.optimizer}
        self.schedule = self.hparams.schedule(self.optimizer)
        if self.checkpointer is not None:
            self.checkpointer.add_recoverable("optimizer", self.optimizer)
            self.checkpointer.add_recoverable("schedule", self.schedule)
