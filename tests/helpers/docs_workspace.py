"""A folder in which the commands of documentation pages are run in order."""

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

LINKED = ("recipes", "hparams", "docs", "benchmarks")
"""Folders of the repository that commands expect in the current folder; linked symbolically."""


class Workspace:
    """A folder with all files that the snippets need.

    A command that several pages show is run once.

    Arguments
    ---------
    root : Path
        Root of the repository.
    folder : Path
        Empty folder.
    names : mapping of str to callable
        Functions that return the values of the placeholders; called only for snippets that contain
        them.
    """

    def __init__(self, root: Path, folder: Path, names: Mapping[str, Callable[[], object]]):
        self.root, self.folder, self.names = root, folder, names
        self.outputs: dict[str, str] = {}
        for name in LINKED:
            (folder / name).symlink_to(root / name)
        # Use the programs of this environment and one thread, but no service or cache.
        places = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = {
            **os.environ, "PATH": places, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1",
            "WANDB_MODE": "offline",
            "HF_HOME": str(folder / "no_cache"),
        }  # fmt: skip

    def text(self, snippet: Snippet) -> str:
        """Return the text to run for a snippet, with all substitutions and placeholders applied."""
        text, _ = substituted(snippet)
        for name in re.findall(r"\{([\w-]+)\}", text):
            if name in self.names:  # other braces belong to Python code
                text = text.replace(f"{{{name}}}", str(self.names[name]()))
        return text

    def run(self, snippet: Snippet) -> str:
        """Run a snippet and check that it writes its output files.

        Returns
        -------
        str
            Output of the snippet.

        Raises
        ------
        AssertionError
            If the snippet fails or does not write an output file in its arguments.
        """
        text = self.text(snippet)
        if text not in self.outputs:
            self.outputs[text] = self._run(snippet, text)
        return self.outputs[text]

    def _run(self, snippet: Snippet, text: str) -> str:
        if snippet.language == PYTHON:
            return self._finish(snippet, self._start([sys.executable, "-c", text]))
        if snippet.program == "make":
            return self._check_target(snippet)
        if snippet.program == "pip":
            return self._check_extras(snippet)
        if text.startswith("emosphere demo "):
            return self._run_server(snippet, text)
        outputs = [self.folder / path for path in re.findall(r"--(?:out|plot)=(\S+)", text)]
        for path in outputs:
            assert not path.exists(), f"{snippet.location}: {path.name} already exists"
        processes = [self._start(["bash", "-euc", text])]
        if "--node_rank=0" in text:
            other = text.replace("--node_rank=0", "--node_rank=1")
            processes.append(self._start(["bash", "-euc", other]))
        output = "".join(self._finish(snippet, process) for process in processes)
        for path in outputs:
            assert path.exists(), (
                f"{snippet.location}: {snippet.text} did not write {path.name}: {output}"
            )
        return output

    def _start(self, words: list[str]) -> subprocess.Popen:
        return subprocess.Popen(
            words, cwd=self.folder, env=self.environment, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def _finish(self, snippet: Snippet, process: subprocess.Popen) -> str:
        try:
            output, _ = process.communicate()
        finally:
            if process.poll() is None:  # stop child processes of an interrupted test
                os.killpg(process.pid, signal.SIGKILL)
        assert process.returncode == 0, (
            f"{snippet.location}: {snippet.text}\nwas run as {self.text(snippet)}\nin "
            f"{self.folder}; exit status {process.returncode}:\n{output[-3000:]}"
        )
        return output

    def _run_server(self, snippet: Snippet, text: str) -> str:
        """Start the server of the demo page, request the page, and stop the server."""
        process = self._start(["bash", "-euc", f"exec {text}"])
        try:
            lines = []
            for line in process.stdout:
                lines.append(line)
                if address := re.search(r"http://127\.0\.0\.1:\d+", line):
                    break
            else:
                process.wait()
                raise AssertionError(
                    f"{snippet.location}: no page address in the output: {''.join(lines)[-3000:]}"
                )
            with urllib.request.urlopen(address[0]) as answer:
                page = answer.read().decode("utf-8")
            assert "<html" in page.lower()
            process.send_signal(signal.SIGTERM)
            return page + self._finish(snippet, process)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)

    def _check_target(self, snippet: Snippet) -> str:
        """Check that a make target exists. It is not run, because targets create environments."""
        makefile = (self.root / "Makefile").read_text(encoding="utf-8")
        targets = set(re.findall(r"^([\w-]+):", makefile, flags=re.M))
        named = [word for word in snippet.text.split()[1:] if "=" not in word]
        assert named and set(named) <= targets, f"{snippet.location}: unknown make targets: {named}"
        return ""

    def _check_extras(self, snippet: Snippet) -> str:
        """Check that the extras of a ``pip install`` exist, without installing them."""
        import configparser

        config = configparser.ConfigParser()
        config.read(self.root / "setup.cfg")
        named = re.search(r"\[([\w,]+)\]", snippet.text)
        extras = set(named[1].split(",")) if named else set()
        there = set(config["options.extras_require"])
        assert extras <= there, f"{snippet.location}: unknown extras: {sorted(extras - there)}"
        return ""


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def long_recording(folder: Path, into: Path, seconds: float = 60.0) -> None:
    """Concatenate the wav files of a folder into one long recording."""
    import numpy as np
    import soundfile

    parts, rate, length = [], None, 0
    for path in sorted(folder.rglob("*.wav")):
        part, file_rate = soundfile.read(path, dtype="float32")
        rate = rate or file_rate
        if file_rate != rate:
            raise ValueError(f"All files must have a rate of {rate} Hz; {path} has {file_rate} Hz.")
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
    """Write the tables of hparams/tables.yaml with only the reference and one other row each."""
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
