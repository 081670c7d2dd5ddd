"""Console output of log messages, without diagnostics of third-party libraries."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from emosphere_sb.fileio.csv_cells import visible_text

LOG_CONFIG = Path(__file__).with_name("log_config.yaml")
"""Logging configuration of a run, passed to SpeechBrain's ``create_experiment_directory``."""

THIRD_PARTY = ("speechbrain", "fontTools", "wandb")
"""Packages whose INFO messages only go to log.txt."""

IRRELEVANT_WARNINGS = ("torchvision is not available",)
"""Beginnings of warnings about features that this package does not use."""


class ConsoleFormatter(logging.Formatter):
    """Formatter that escapes control characters, such as those in the names of files."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        return visible_text(super().format(record))


class ConsoleFilter(logging.Filter):
    """Filter for console handlers that drops diagnostics irrelevant to the user."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is shown."""
        if record.getMessage().startswith(IRRELEVANT_WARNINGS):
            return False
        if record.levelno >= logging.WARNING:
            return True
        return not record.name.startswith(THIRD_PARTY)


def configure_console_logging() -> None:
    """Show log messages on the console, as plain text and without third-party diagnostics.

    A run replaces the handlers with those of ``LOG_CONFIG`` as soon as its folder exists. If
    standard error is not a terminal, libraries that load models show no progress bars.
    """
    if not sys.stderr.isatty():  # read by huggingface_hub and transformers when imported
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    logging.basicConfig(level=logging.INFO)
    for handler in logging.getLogger().handlers:
        is_console = isinstance(handler, logging.StreamHandler)
        if is_console and not isinstance(handler, logging.FileHandler):
            handler.setFormatter(ConsoleFormatter("%(message)s"))
            if not any(isinstance(item, ConsoleFilter) for item in handler.filters):
                handler.addFilter(ConsoleFilter())
