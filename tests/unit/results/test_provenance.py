"""Where a figure comes from: commit, mark of changed files, command."""

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
    monkeypatch.setattr(provenance, "SOURCE", tmp_path)
    return tmp_path, git("rev-parse", "HEAD")


def test_the_commit_is_that_of_the_code(repository):
    folder, head = repository
    assert provenance.commit() == head
    assert len(head) == 40
    (folder / "notes.txt").write_text("y\n")  # changes no result
    assert provenance.commit() == head


@pytest.mark.parametrize(
    "name", ["emosphere_sb/a.py", "emosphere_sb/new.py", "hparams/presets.yaml"]
)
def test_changed_and_new_files_are_marked(repository, name):
    folder, head = repository
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("a = 2\n")
    assert provenance.commit() == f"{head}-dirty"


def test_no_repository_of_its_own_is_no_commit(repository, monkeypatch, tmp_path_factory):
    folder, _ = repository
    monkeypatch.setattr(provenance, "SOURCE", folder / "emosphere_sb")  # inside another's
    assert provenance.commit() is None
    monkeypatch.setattr(provenance, "SOURCE", tmp_path_factory.mktemp("elsewhere"))
    assert provenance.commit() is None
    monkeypatch.setattr(provenance, "SOURCE", folder)
    monkeypatch.setenv("PATH", "")  # no git at all
    assert provenance.commit() is None
