"""Run the MSP-Podcast recipe and pause it at a chosen moment, for tests that kill it there.

    python tests/helpers/kill_points.py MOMENT NUMBER SIGN ARGUMENTS…

The NUMBER-th time that MOMENT comes, this writes the file SIGN and waits until SIGN.go exists.
``begun`` does not wait.
"""

import functools
import io
import os
import resource
import sys
import time
from pathlib import Path


def main() -> int:
    moment, number, sign, *arguments = sys.argv[1:]
    from emosphere_sb.recipe.main import main as launch

    MOMENTS[moment](Moment(int(number), Path(sign)))
    return launch(arguments, corpus="MSP-Podcast")


class Moment:
    """Counts how often it came, and waits there once."""

    def __init__(self, number: int, sign: Path):
        self.left, self.sign = number, sign

    def comes(self) -> bool:
        """Whether this is the time."""
        self.left -= 1
        return self.left == 0

    def wait(self) -> None:
        """Say so, and wait to be killed or told to go on."""
        self.sign.write_text(str(os.getpid()))
        while not self.sign.with_suffix(".go").exists():
            time.sleep(0.02)

    def before(self, owner, name: str, holds=lambda *_, **__: True) -> None:
        """Wait before a call."""
        call = getattr(owner, name)

        @functools.wraps(call)
        def waits(*arguments, **options):
            if holds(*arguments, **options) and self.comes():
                self.wait()
            return call(*arguments, **options)

        setattr(owner, name, waits)


def begun(moment: Moment) -> None:
    """The epochs begin."""
    from emosphere_sb.training.brain import EmoSphereBrain

    start = EmoSphereBrain.on_fit_start

    def on_fit_start(brain):
        start(brain)
        moment.sign.write_text("")

    EmoSphereBrain.on_fit_start = on_fit_start


def saving(moment: Moment) -> None:
    """A file of a checkpoint is open and half written."""
    import torch

    save = torch.save

    def half(state, path):
        if not moment.comes():
            return save(state, path)
        whole = io.BytesIO()
        save(state, whole)
        with open(path, "wb") as file:
            file.write(whole.getvalue()[: whole.tell() // 2])
            file.flush()
            moment.wait()
        return save(state, path)

    torch.save = half


def summing(moment: Moment) -> None:
    """All files of a checkpoint are there, but not yet their digests."""
    from emosphere_sb.training import checkpoints

    moment.before(checkpoints, "digest_of", lambda path: path.parent.name.startswith("partial-"))


def between(moment: Moment) -> None:
    """A new checkpoint is there, and the old ones are too."""
    from emosphere_sb.training.checkpoints import Checkpointer

    moment.before(Checkpointer, "prune")


def deleting(moment: Moment) -> None:
    """An old checkpoint is half deleted."""
    from emosphere_sb.training import checkpoints

    def half(folder, **_):
        if folder.name.startswith("deleted-"):
            (folder / "model.ckpt").unlink(missing_ok=True)
            return True
        return False

    moment.before(checkpoints.shutil, "rmtree", half)


def stepping(moment: Moment) -> None:
    """A step of training begins."""
    from emosphere_sb.training.brain import EmoSphereBrain

    moment.before(EmoSphereBrain, "fit_batch")


def validating(moment: Moment) -> None:
    """A batch of the development set is to be predicted."""
    _evaluating(moment, "VALID")


def testing(moment: Moment) -> None:
    """A batch is to be predicted with the best checkpoint."""
    _evaluating(moment, "TEST")


def _evaluating(moment: Moment, name: str) -> None:
    from emosphere_sb.training.brain import EmoSphereBrain

    moment.before(EmoSphereBrain, "evaluate_batch", lambda brain, batch, stage: stage.name == name)


def logged(moment: Moment) -> None:
    """An epoch stands in the log, and there is no checkpoint of it yet."""
    from emosphere_sb.training.epoch_counter import EpochCounter

    moment.before(EpochCounter, "update_metric")


def writing(moment: Moment) -> None:
    """A file such as predictions or metrics.json is written, and not yet in its place."""
    from emosphere_sb.fileio import atomic

    moment.before(atomic.os, "replace", lambda source, _: Path(source).suffix == ".partial")


def reporting(moment: Moment) -> None:
    """Predictions are written, metrics.json is not."""
    from emosphere_sb.recipe import run

    moment.before(run, "write_metrics")


def full(moment: Moment) -> None:
    """From the NUMBER-th deletion of old checkpoints on no file may be longer than 20 kB."""
    from emosphere_sb.training.checkpoints import Checkpointer

    prune = Checkpointer.prune

    def limited(*arguments, **options):
        prune(*arguments, **options)
        if moment.comes():
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))

    Checkpointer.prune = limited


MOMENTS = {
    made.__name__: made
    for made in (
        begun, saving, summing, between, deleting, stepping, validating, testing, logged, writing,
        reporting, full,
    )
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main())
