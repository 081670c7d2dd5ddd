"""Run the MSP-Podcast recipe and pause it at a chosen point, for tests that kill it there.

    python tests/helpers/kill_points.py POINT NUMBER SIGNAL_FILE ARGUMENTS…

When POINT is reached for the NUMBER-th time, this writes SIGNAL_FILE and waits until
SIGNAL_FILE.go exists. ``begun`` does not wait.
"""

import functools
import io
import os
import resource
import sys
import time
from pathlib import Path


def main() -> int:
    point, number, sign, *arguments = sys.argv[1:]
    from emosphere_sb.recipe.main import main as launch

    POINTS[point](KillPoint(int(number), Path(sign)))
    return launch(arguments, corpus="MSP-Podcast")


class KillPoint:
    """A point in the code at which the process waits when it is reached for the n-th time."""

    def __init__(self, number: int, sign: Path):
        self.left, self.sign = number, sign

    def reached(self) -> bool:
        """Count a pass through the point, and return whether to wait now."""
        self.left -= 1
        return self.left == 0

    def wait(self) -> None:
        """Write the signal file and wait to be killed or continued."""
        self.sign.write_text(str(os.getpid()))
        while not self.sign.with_suffix(".go").exists():
            time.sleep(0.02)

    def before(self, owner, name: str, holds=lambda *_, **__: True) -> None:
        """Wait before a call of ``owner.name`` for which ``holds`` returns true."""
        call = getattr(owner, name)

        @functools.wraps(call)
        def waits(*arguments, **options):
            if holds(*arguments, **options) and self.reached():
                self.wait()
            return call(*arguments, **options)

        setattr(owner, name, waits)


def begun(point: KillPoint) -> None:
    """Signal the start of training without waiting."""
    from emosphere_sb.training.brain import EmoSphereBrain

    start = EmoSphereBrain.on_fit_start

    def on_fit_start(brain):
        start(brain)
        point.sign.write_text("")

    EmoSphereBrain.on_fit_start = on_fit_start


def saving(point: KillPoint) -> None:
    """Wait while a file of a checkpoint is partly written."""
    import torch

    save = torch.save

    def half(state, path):
        if not point.reached():
            return save(state, path)
        buffer = io.BytesIO()
        save(state, buffer)
        with open(path, "wb") as file:
            file.write(buffer.getvalue()[: buffer.tell() // 2])
            file.flush()
            point.wait()
        return save(state, path)

    torch.save = half


def summing(point: KillPoint) -> None:
    """Wait when all files of a checkpoint have been written, but not their digests."""
    from emosphere_sb.training import checkpoints

    point.before(checkpoints, "digest_of", lambda path: path.parent.name.startswith("partial-"))


def between(point: KillPoint) -> None:
    """Wait between saving a checkpoint and deleting old ones."""
    from emosphere_sb.training.checkpoints import Checkpointer

    point.before(Checkpointer, "prune")


def deleting(point: KillPoint) -> None:
    """Wait while an old checkpoint is partly deleted."""
    from emosphere_sb.training import checkpoints

    def half(folder, **_):
        if folder.name.startswith("deleted-"):
            (folder / "model.ckpt").unlink(missing_ok=True)
            return True
        return False

    point.before(checkpoints.shutil, "rmtree", half)


def stepping(point: KillPoint) -> None:
    """Wait before a training step."""
    from emosphere_sb.training.brain import EmoSphereBrain

    point.before(EmoSphereBrain, "fit_batch")


def validating(point: KillPoint) -> None:
    """Wait before a batch of the development set is predicted."""
    _evaluating(point, "VALID")


def testing(point: KillPoint) -> None:
    """Wait before a batch of a test set is predicted."""
    _evaluating(point, "TEST")


def _evaluating(point: KillPoint, name: str) -> None:
    from emosphere_sb.training.brain import EmoSphereBrain

    point.before(EmoSphereBrain, "evaluate_batch", lambda brain, batch, stage: stage.name == name)


def logged(point: KillPoint) -> None:
    """Wait when an epoch has been logged, but its checkpoint has not been saved."""
    from emosphere_sb.training.epoch_counter import EpochCounter

    point.before(EpochCounter, "update_metric")


def writing(point: KillPoint) -> None:
    """Wait before a partial file, such as metrics.json.partial, is renamed."""
    from emosphere_sb.fileio import atomic

    point.before(atomic.os, "replace", lambda source, _: Path(source).suffix == ".partial")


def reporting(point: KillPoint) -> None:
    """Wait between writing predictions and metrics.json."""
    from emosphere_sb.recipe import run

    point.before(run, "write_metrics")


def full(point: KillPoint) -> None:
    """Limit the file size to 20 kB, starting at the NUMBER-th deletion of old checkpoints."""
    from emosphere_sb.training.checkpoints import Checkpointer

    prune = Checkpointer.prune

    def limited(*arguments, **options):
        prune(*arguments, **options)
        if point.reached():
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))

    Checkpointer.prune = limited


POINTS = {
    function.__name__: function
    for function in (
        begun, saving, summing, between, deleting, stepping, validating, testing, logged, writing,
        reporting, full,
    )
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main())
