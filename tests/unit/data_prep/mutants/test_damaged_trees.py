"""Damaged folders must result in a clear error, rejections, or unchanged labels."""

import random
import shutil
from collections import Counter


def audio_of(case):
    return sorted(path for path in case.root.rglob("*.wav") if not path.name.startswith("."))


def delete_labels(case, rng):
    case.labels.unlink()


def labels_are_a_folder(case, rng):
    case.labels.unlink()
    case.labels.mkdir()


def labels_are_a_broken_link(case, rng):
    case.labels.unlink()
    case.labels.symlink_to("nowhere")


def delete_folder(case, rng):
    folders = sorted(path for path in case.root.rglob("*") if path.is_dir())
    shutil.rmtree(rng.choice(folders))


def folder_is_a_file(case, rng):
    folders = sorted(path for path in case.root.rglob("*") if path.is_dir())
    folder = rng.choice(folders)
    shutil.rmtree(folder)
    folder.write_bytes(b"x")


def delete_audio(case, rng):
    rng.choice(audio_of(case)).unlink()


def damage_audio(case, rng):
    path = rng.choice(audio_of(case))
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(rng.choice([b"", b"text", content[:44], content[:100], content[:20]]))


def audio_is_a_folder(case, rng):
    path = rng.choice(audio_of(case))
    path.unlink()
    path.mkdir()


def link_to_itself(case, rng):
    (case.labels.parent / "again").symlink_to(case.labels.parent)


def delete_everything(case, rng):
    shutil.rmtree(case.root)


def everything_is_a_file(case, rng):
    shutil.rmtree(case.root)
    case.root.write_bytes(b"x")


DAMAGES = [
    delete_labels,
    labels_are_a_folder,
    labels_are_a_broken_link,
    delete_folder,
    folder_is_a_file,
    delete_audio,
    damage_audio,
    audio_is_a_folder,
    link_to_itself,
    delete_everything,
    everything_is_a_file,
]


def test_damaged_trees(case, outcome):
    kinds = Counter()
    whole = case.root.rename(case.root.with_name("whole"))
    for number, damage in enumerate(DAMAGES * 2):
        shutil.copytree(whole, case.root)
        damage(case, random.Random(number))
        try:
            kinds[outcome(case)] += 1
        except Exception as error:
            raise AssertionError(f"damage {number}, {damage.__name__}") from error
        if case.root.is_dir():
            shutil.rmtree(case.root)
        elif case.root.exists():
            case.root.unlink()
    assert kinds["error"] >= 5 and kinds["changed"] >= 4, kinds
