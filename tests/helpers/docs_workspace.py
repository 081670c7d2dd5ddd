"""A folder in which the commands of a page are run, from the first to the last."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.helpers.docs_pages import PYTHON, Snippet
from tests.helpers.docs_substitutions import substituted

LENT = ("recipes", "hparams", "docs", "benchmarks")
"""Folders that commands expect in the current folder: links to those of the repository."""


class Workspace:
    """A folder with everything that the snippets of a page need.

    Arguments
    ---------
    root : Path
        The repository.
    folder : Path
        New or empty.
    names : mapping of str to callable
        Values of the names in braces of the substitutions; called when a snippet has the name.
    """

    def __init__(self, root: Path, folder: Path, names: Mapping[str, Callable[[], object]]):
        self.root, self.folder, self.names = root, folder, names
        for name in LENT:
            (folder / name).symlink_to(root / name)
        # The programs of this environment under their own names, one thread, no hub, no cache.
        places = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = {
            **os.environ, "PATH": places, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(folder / "no_cache"),
        }  # fmt: skip

    def text(self, snippet: Snippet) -> str:
        """The text to run instead of a snippet."""
        text, _ = substituted(snippet)
        for name in re.findall(r"\{([\w-]+)\}", text):
            if name in self.names:  # other braces are Python's own
                text = text.replace(f"{{{name}}}", str(self.names[name]()))
        return text

    def run(self, snippet: Snippet) -> str:
        """Run a snippet and check that it writes the files that it names.

        Returns
        -------
        str
            Its output.

        Raises
        ------
        AssertionError
            If it fails, or an output file that it names does not exist afterwards.
        """
        text = self.text(snippet)
        if snippet.language == PYTHON:
            return self._ended(snippet, self._started([sys.executable, "-c", text]))
        if snippet.program == "make":
            return self._target(snippet)
        if snippet.program == "pip":
            return self._extras(snippet)
        if text.startswith("emosphere demo "):
            return self._served(snippet, text)
        outputs = [self.folder / path for path in re.findall(r"--(?:out|plot)=(\S+)", text)]
        for path in outputs:
            assert not path.exists(), f"{snippet.place}: {path.name} is there before"
        machines = [self._started(["bash", "-euc", text])]
        if "--node_rank=0" in text:
            other = text.replace("--node_rank=0", "--node_rank=1")
            machines.append(self._started(["bash", "-euc", other]))
        said = "".join(self._ended(snippet, machine) for machine in machines)
        for path in outputs:
            assert path.exists(), f"{snippet.place}: {snippet.text} left no {path.name}: {said}"
        return said

    def _started(self, words: list[str]) -> subprocess.Popen:
        return subprocess.Popen(
            words, cwd=self.folder, env=self.environment, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def _ended(self, snippet: Snippet, process: subprocess.Popen) -> str:
        try:
            said, _ = process.communicate()
        finally:
            if process.poll() is None:  # interrupted: nothing that it began outlives the test
                os.killpg(process.pid, signal.SIGKILL)
        assert process.returncode == 0, (
            f"{snippet.place}: {snippet.text}\nwas run as {self.text(snippet)}\nin {self.folder} "
            f"and ended with {process.returncode}:\n{said[-3000:]}"
        )
        return said

    def _served(self, snippet: Snippet, text: str) -> str:
        """Start the server of the demo page, request the page once, and stop the server."""
        process = self._started(["bash", "-euc", f"exec {text}"])
        try:
            lines = []
            for line in process.stdout:
                lines.append(line)
                if address := re.search(r"http://127\.0\.0\.1:\d+", line):
                    break
            else:
                process.wait()
                raise AssertionError(f"{snippet.place}: no page: {''.join(lines)[-3000:]}")
            with urllib.request.urlopen(address[0]) as answer:
                page = answer.read().decode("utf-8")
            assert "<html" in page.lower()
            process.send_signal(signal.SIGTERM)
            return page + self._ended(snippet, process)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)

    def _target(self, snippet: Snippet) -> str:
        """Check that a make target exists. It is not run: it makes environments."""
        makefile = (self.root / "Makefile").read_text(encoding="utf-8")
        targets = set(re.findall(r"^([\w-]+):", makefile, flags=re.M))
        named = [word for word in snippet.text.split()[1:] if "=" not in word]
        assert named and set(named) <= targets, f"{snippet.place}: no such target: {named}"
        return ""

    def _extras(self, snippet: Snippet) -> str:
        """Check that the extras of a ``pip install`` exist. Nothing is installed."""
        import configparser

        config = configparser.ConfigParser()
        config.read(self.root / "setup.cfg")
        named = re.search(r"\[([\w,]+)\]", snippet.text)
        extras = set(named[1].split(",")) if named else set()
        there = set(config["options.extras_require"])
        assert extras <= there, f"{snippet.place}: no such extras: {sorted(extras - there)}"
        return ""


def free_port() -> int:
    """A free port."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def long_recording(folder: Path, into: Path, seconds: float = 60.0) -> None:
    """Concatenate the wav files of a folder into one long recording."""
    import numpy as np
    import soundfile

    parts, rate, length = [], None, 0
    for path in sorted(folder.rglob("*.wav")):
        part, own = soundfile.read(path, dtype="float32")
        rate = rate or own
        if own != rate:
            raise ValueError(f"{path} has {own} Hz where the others have {rate} Hz.")
        parts.append(part)
        length += len(part)
        if length >= seconds * rate:
            break
    soundfile.write(into, np.concatenate(parts), rate)


def recordings(folder: Path, into: Path, count: int = 4) -> None:
    """Copy wav files of a folder to ``speech.wav`` and to a folder ``recordings``."""
    files = sorted(folder.rglob("*.wav"))[: count + 1]
    (into / "recordings").mkdir()
    for path in files[:count]:
        shutil.copy(path, into / "recordings")
    shutil.copy(files[count], into / "speech.wav")


def short_tables(root: Path, into: Path) -> Path:
    """Write the tables of hparams/tables.yaml with two rows each, the reference and another one."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe")
    tables = yaml.load((root / "hparams" / "tables.yaml").read_text(encoding="utf-8"))
    for table in tables.values():
        reference = table["reference"] or next(iter(table["rows"]))
        others = [name for name in table["rows"] if name != reference]
        table["rows"] = {name: table["rows"][name] for name in (reference, others[0])}
    with open(into, "w", encoding="utf-8") as file:
        YAML().dump(tables, file)
    return into
