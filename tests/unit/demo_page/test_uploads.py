"""Deletion of uploads, and only of uploads."""

import os

import pytest

from emosphere_sb.demo_page.uploads import Uploads, upload_folder


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "uploads").mkdir()
    return tmp_path / "uploads"


def upload(folder, name):
    (folder / name).mkdir()
    (folder / name / "speech.wav").write_bytes(b"x")
    return folder / name / "speech.wav"


def test_next_upload_deletes_the_previous_one(folder):
    uploads = Uploads(folder)
    first, second = upload(folder, "a"), upload(folder, "b")
    uploads.show("page", first)
    assert first.exists()
    uploads.show("page", second)
    assert not first.parent.exists()
    assert second.exists()


def test_closed_page_deletes_its_upload(folder):
    uploads = Uploads(folder)
    path = upload(folder, "a")
    uploads.show("page", path)
    uploads.close("page")
    uploads.close("page")
    assert list(folder.iterdir()) == []


def test_upload_shown_on_another_page_is_not_deleted(folder):
    uploads = Uploads(folder)
    path = upload(folder, "a")
    uploads.show("one", path)
    uploads.show("two", path)
    uploads.close("one")
    assert path.exists()
    uploads.close("two")
    assert not path.exists()


def test_same_upload_shown_again_is_not_deleted(folder):
    uploads = Uploads(folder)
    path = upload(folder, "a")
    uploads.show("page", path)
    uploads.show("page", path)
    assert path.exists()


def test_files_outside_the_folder_are_not_deleted(folder, tmp_path, caplog):
    other = tmp_path / "mine.wav"
    other.write_bytes(b"x")
    uploads = Uploads(folder)
    uploads.show("page", folder / ".." / "mine.wav")
    uploads.close("page")
    assert other.exists()
    assert "is outside the upload folder" in caplog.text


@pytest.mark.parametrize("before", [None, "/somewhere"])
def test_upload_folder_and_variable_are_removed_after_the_context(monkeypatch, before):
    monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)
    if before:
        monkeypatch.setenv("GRADIO_TEMP_DIR", before)
    with upload_folder() as folder:
        assert os.environ["GRADIO_TEMP_DIR"] == str(folder)
        upload(folder, "a")
    assert not folder.exists()
    assert os.environ.get("GRADIO_TEMP_DIR") == before
