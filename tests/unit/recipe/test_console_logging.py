"""Console output of log messages."""

import logging
import logging.config
import os
import sys

import pytest
import yaml

from emosphere_sb.recipe.console_logging import (
    LOG_CONFIG,
    ConsoleFilter,
    ConsoleFormatter,
    configure_console_logging,
)


def record(name, level, message="text"):
    return logging.LogRecord(name, level, __file__, 1, message, (), None)


@pytest.mark.parametrize(
    ("name", "level", "message", "shown"),
    [
        ("emosphere_sb.recipe.run", logging.INFO, "text", True),
        ("emosphere_sb.recipe.progress", logging.INFO, "Epoch 1/2: loss 5.175", True),
        ("speechbrain.utils.train_logger", logging.INFO, "epoch: 1", False),
        ("speechbrain.utils.epoch_loop", logging.INFO, "Going into epoch 1", False),
        ("speechbrain.core", logging.INFO, "Gradscaler enabled: `False`", False),
        ("speechbrain.core", logging.WARNING, "text", True),
        ("speechbrain.utils.quirks", logging.INFO, "Applied quirks", False),
        ("fontTools.subset", logging.INFO, "text", False),
        ("wandb", logging.INFO, "starting backend", False),
        (
            "speechbrain.utils.train_logger",
            logging.WARNING,
            "torchvision is not available - cannot save figures",
            False,
        ),
    ],
)
def test_third_party_diagnostics_are_not_shown(name, level, message, shown):
    assert ConsoleFilter().filter(record(name, level, message)) is shown


def test_console_shows_plain_messages_and_log_files_are_unchanged(monkeypatch, tmp_path):
    console, file = logging.StreamHandler(), logging.FileHandler(tmp_path / "log.txt")
    for handler in (console, file):
        handler.setFormatter(logging.Formatter("%(name)s - %(message)s"))
    monkeypatch.setattr(logging.root, "handlers", [console, file])
    configure_console_logging()
    configure_console_logging()
    assert console.format(record("a.b", logging.INFO)) == "text"
    assert file.format(record("a.b", logging.INFO)) == "a.b - text"
    assert len(console.filters) == 1 and not file.filters
    file.close()


def test_log_file_of_a_run_is_complete_and_its_console_is_filtered(monkeypatch, tmp_path, capsys):
    config = yaml.safe_load(LOG_CONFIG.read_text(encoding="utf-8"))
    config["handlers"]["file_handler"]["filename"] = str(tmp_path / "log.txt")
    config["loggers"] = {"speechbrain": {"level": "NOTSET"}}  # other tests may have raised it
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.WARNING)
    logging.config.dictConfig(config)
    logging.getLogger("speechbrain.utils.test").info("Applied quirks")
    logging.getLogger("emosphere_sb.recipe.run").info("train: 48 utterances")
    for handler in logging.root.handlers:
        handler.close()
    assert capsys.readouterr().out == "train: 48 utterances\n"
    lines = (tmp_path / "log.txt").read_text(encoding="utf-8").splitlines()
    assert [line.split(" - ", 1)[1] for line in lines] == [
        "speechbrain.utils.test - INFO - Applied quirks",
        "emosphere_sb.recipe.run - INFO - train: 48 utterances",
    ]


@pytest.mark.parametrize(("terminal", "value"), [(True, None), (False, "1")])
def test_libraries_show_no_progress_bars_unless_on_a_terminal(monkeypatch, terminal, value):
    monkeypatch.setattr(logging.root, "handlers", [logging.NullHandler()])
    monkeypatch.delenv("HF_HUB_DISABLE_PROGRESS_BARS", raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    configure_console_logging()
    assert os.environ.get("HF_HUB_DISABLE_PROGRESS_BARS") == value


def test_control_characters_in_messages_are_escaped():
    text = ConsoleFormatter("%(message)s").format(record("a", logging.INFO, "a\x1b[2J\nb"))
    assert text == "a\\x1b[2J\nb"
