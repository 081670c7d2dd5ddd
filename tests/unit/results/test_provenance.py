"""Tests of provenance: commit, mark of modified files, command."""

import subprocess

import pytest

from emosphere_sb.results import provenance


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository in which one file that counts and one that does not are committed."""

    def git(*words):
        run = subprocess.run(["git", "-C", tmp_path, *words], check=True, capture_output=True)
        return run.stdout.decode().strip()

    (tmp_path / "emosphere_sb").mkdir()
    (tmp_path / "emosphere_sb" / "a.py").write_text("a = 1\n")
    (tmp_path / "notes.txt").write_text("x\n")
    git("init", "-q")
    git("add", ".")
    git("-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "m")
    monkeypatch.setattr(provenance, "REPOSITORY_ROOT", tmp_path)
    return tmp_path, git("rev-parse", "HEAD")


def test_commit_matches_code(repository):
    folder, head = repository
    assert provenance.git_commit() == head
    assert len(head) == 40
    (folder / "notes.txt").write_text("y\n")  # changes no result
    assert provenance.git_commit() == head


@pytest.mark.parametrize(
    "name", ["emosphere_sb/a.py", "emosphere_sb/new.py", "hparams/presets.yaml"]
)
def test_modified_and_new_files_mark_commit_dirty(repository, name):
    folder, head = repository
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("a = 2\n")
    assert provenance.git_commit() == f"{head}-dirty"


def test_no_commit_outside_own_repository(repository, monkeypatch, tmp_path_factory):
    folder, _ = repository
    monkeypatch.setattr(provenance, "REPOSITORY_ROOT", folder / "emosphere_sb")  # inside another's
    assert provenance.git_commit() is None
    monkeypatch.setattr(provenance, "REPOSITORY_ROOT", tmp_path_factory.mktemp("elsewhere"))
    assert provenance.git_commit() is None
    monkeypatch.setattr(provenance, "REPOSITORY_ROOT", folder)
    monkeypatch.setenv("PATH", "")  # no git at all
    assert provenance.git_commit() is None
