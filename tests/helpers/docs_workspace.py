"""A folder in which a page is followed from its first command to its last."""

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
"""What commands expect beside them: links to the repository's."""


class Workplace:
    """Runs what stands in pages, with what it needs at hand.

    Arguments
    ---------
    root : Path
        The repository.
    folder : Path
        New or empty.
    names : mapping of str to callable
        What the names in braces of the substitutions mean: made when first asked for.
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
        """What is run in place of a snippet."""
        text, _ = substituted(snippet)
        for name in re.findall(r"\{([\w-]+)\}", text):
            if name in self.names:  # other braces are Python's own
                text = text.replace(f"{{{name}}}", str(self.names[name]()))
        return text

    def run(self, snippet: Snippet) -> str:
        """Run a snippet and see that it leaves what it says.

        Returns
        -------
        str
            What it wrote.

        Raises
        ------
        AssertionError
            If it fails, or a file that it names as its output is not there.
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
        """A page: opened, asked for once, closed."""
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
        """A make target is not run here: it makes environments. It must be there."""
        makefile = (self.root / "Makefile").read_text(encoding="utf-8")
        targets = set(re.findall(r"^([\w-]+):", makefile, flags=re.M))
        named = [word for word in snippet.text.split()[1:] if "=" not in word]
        assert named and set(named) <= targets, f"{snippet.place}: no such target: {named}"
        return ""

    def _extras(self, snippet: Snippet) -> str:
        """Nothing is installed here. The extras must be there."""
        import configparser

        config = configparser.ConfigParser()
        config.read(self.root / "setup.cfg")
        named = re.search(r"\[([\w,]+)\]", snippet.text)
        extras = set(named[1].split(",")) if named else set()
        there = set(config["options.extras_require"])
        assert extras <= there, f"{snippet.place}: no such extras: {sorted(extras - there)}"
        return ""


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def long_recording(folder: Path, into: Path, seconds: float = 60.0) -> None:
    """The files of a folder one behind the other, as a recording of someone's own."""
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
    """``speech.wav`` and a folder ``recordings``: audio of someone's own."""
    files = sorted(folder.rglob("*.wav"))[: count + 1]
    (into / "recordings").mkdir()
    for path in files[:count]:
        shutil.copy(path, into / "recordings")
    shutil.copy(files[count], into / "speech.wav")


def short_tables(root: Path, into: Path) -> Path:
    """The tables with the reference and one more row each."""
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
