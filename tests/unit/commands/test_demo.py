"""emosphere demo: options, errors, and a help text without heavy imports."""

import subprocess
import sys

import pytest

from emosphere_sb.cli import main
from emosphere_sb.commands import demo
from emosphere_sb.onnx_export import engines


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom emosphere_sb.cli import main\n"
        "try:\n    main(['demo', '--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "print([m for m in ('torch', 'gradio', 'pandas', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "--max_seconds" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "MODEL is required"),
        (["model", "--share"], "ssh -L 7860:127.0.0.1:7860"),
        (["model", "--share", "--port=80"], "ssh -L 80:127.0.0.1:80"),
        (["model", "--port=0"], "--port must be between 1 and 65535; found 0"),
        (["model", "--port=70000"], "found 70000"),
        (["model", "--max_seconds=0"], "--max_seconds must be a finite number above 0"),
        (["model", "--max_megabytes=inf"], "--max_megabytes must be a finite number above 0"),
    ],
)
def test_invalid_options_exit_with_status_2(words, message, capsys):
    assert main(["demo", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["m", "--max_sec=3"], "unrecognized arguments: --max_sec=3"),
        (["m", "--port=x"], "--port: invalid int value: 'x'"),
        (["a", "b"], "unrecognized arguments: b"),
    ],
)
def test_unknown_options_end_with_status_2(words, message, capsys):
    assert main(["demo", *words]) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}. See emosphere demo --help.")


def test_folder_without_a_model_is_an_error(tmp_path, capsys):
    pytest.importorskip("gradio")
    assert main(["demo", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_options_reach_the_page(monkeypatch):
    pytest.importorskip("gradio")
    from emosphere_sb.demo_page import server
    from emosphere_sb.demo_page.limits import Limits

    asked = {}
    monkeypatch.setattr(
        engines,
        "load_predictor",
        lambda name, *, engine, device, precision, int8: (
            f"{name} on {device} with {engine} in {precision}, {int8}"
        ),
    )
    monkeypatch.setattr(server, "serve", lambda *args, **named: asked.update(a=args, n=named))
    words = ["m", "--port=8000", "--host=::1", "--max_seconds=9", "--device=cpu", "--channel=left"]
    words += ["--engine=torch", "--precision=bf16"]
    assert demo.run(words) == 0
    assert callable(asked["n"].pop("announce"))
    assert asked == {
        "a": ("m on cpu with torch in bf16, False", Limits(9.0, 50.0)),
        "n": {"host": "::1", "port": 8000, "channel": "left"},
    }


def test_only_public_addresses_give_a_warning(monkeypatch, caplog):
    pytest.importorskip("gradio")
    from emosphere_sb.demo_page import server

    monkeypatch.setattr(engines, "load_predictor", lambda name, **options: name)
    monkeypatch.setattr(server, "serve", lambda *args, **named: None)
    demo.run(["m"])
    assert "WARNING" not in caplog.text
    demo.run(["m", "--host=0.0.0.0"])
    assert "WARNING: this page listens on 0.0.0.0" in caplog.text


def test_missing_gradio_error_contains_the_extra(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["demo", "model"]) == 2
    assert "pip install 'emosphere-sb[page]'" in capsys.readouterr().err


def test_invalid_host_is_reported_before_launch():
    from emosphere_sb.demo_page.limits import Limits
    from emosphere_sb.demo_page.server import _listen

    with pytest.raises(OSError, match=r"Invalid --host '999\.1\.1\.1'"):
        _listen(None, Limits(), "999.1.1.1", None, None)  # before the page is asked for anything
