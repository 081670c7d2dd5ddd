"""Raw HTTP requests to the demo page: foreign hosts, foreign origins, and many uploads."""

import http.client
import socket
import tempfile
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytest.importorskip("gradio", reason="the extra 'page' is not installed")

from emosphere_sb.demo_page import body_timeout
from emosphere_sb.demo_page.limits import Limits
from emosphere_sb.demo_page.server import open_page
from tests.helpers.fixed_model import levels_model

LIMITS = Limits(max_seconds=30, max_megabytes=0.1)
BOUNDARY = "x" * 20


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder for temporary files, in which the page creates its upload folder."""
    folder = tmp_path_factory.mktemp("temporary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        yield folder


@pytest.fixture(scope="module")
def netloc(folders):
    with open_page(levels_model(), LIMITS) as address:
        yield urlsplit(address).netloc


def request(netloc, method, path, body=None, **headers):
    connection = http.client.HTTPConnection(netloc, timeout=60)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def upload(netloc, content, name="a.wav", **headers):
    """Upload a file as the page does."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    )
    body = head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    return request(netloc, "POST", "/gradio_api/upload", body, Content_Type=kind, **headers)


@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/info", "/gradio_api/heartbeat/a"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example"])
def test_foreign_host_is_rejected(netloc, path, host):
    answer, content = request(netloc, "GET", path, Host=host)
    assert answer.status == 403
    assert content == b"Requests from other sites are refused."
    assert answer.getheader("access-control-allow-origin") is None


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_foreign_origin_is_rejected(netloc, folders, origin):
    before = list(folders.rglob("*"))
    for method, path in (("GET", "/config"), ("POST", "/gradio_api/queue/join")):
        answer, content = request(netloc, method, path, Origin=origin)
        assert answer.status == 403
        assert content == b"Requests from other sites are refused."
    assert upload(netloc, bytes(1000), Origin=origin)[0].status == 403
    assert list(folders.rglob("*")) == before


@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/info"])
def test_request_of_another_site_without_an_origin_is_rejected(netloc, path):
    """As for an image: ``<img src="http://127.0.0.1:7860/config">``."""
    foreign = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}
    answer, content = request(netloc, "GET", path, **foreign)
    assert (answer.status, content) == (403, b"Requests from other sites are refused.")
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert request(netloc, "GET", path, **link)[0].status == 200


def test_own_requests_are_answered(netloc):
    assert request(netloc, "GET", "/")[0].status == 200
    own = {"Origin": f"http://{netloc}"}
    assert request(netloc, "GET", "/config", **own)[0].status == 200
    answer, content = upload(netloc, bytes(1000), **own)
    assert answer.status == 200, content
    port = netloc.rpartition(":")[2]
    assert request(netloc, "GET", "/config", Host=f"localhost:{port}")[0].status == 200


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("/gradio_api/upload", LIMITS.max_bytes + 100_000),
        ("/gradio_api/queue/join", (1 << 20) + 1),
    ],
)
def test_large_requests_are_rejected(netloc, path, size):
    """The page answers before it has received the content, which is therefore not sent here."""
    answer, _ = request(netloc, "POST", path, Content_Length=str(size))
    assert answer.status == 413


def test_a_hundred_uploads_never_exceed_the_limit(netloc, folders):
    size = LIMITS.max_bytes - 10
    for number in range(100):
        content = number.to_bytes(4, "big") * (size // 4)  # different contents, one file each
        answer, text = upload(netloc, content, f"{number}.wav")
        assert answer.status == 200, text
        total = sum(path.stat().st_size for path in folders.rglob("*") if path.is_file())
        assert total <= LIMITS.max_total_bytes
    assert 100 * size > 2 * LIMITS.max_total_bytes
    assert any(Path(folders).rglob("99.wav"))


def test_uploads_that_stop_are_ended_and_deleted(netloc, folders, monkeypatch):
    monkeypatch.setattr(body_timeout, "IDLE_SECONDS", 3.0)
    before = set(folders.rglob("*"))
    host, _, port = netloc.rpartition(":")
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nRIFF'
    head = (
        f"POST /gradio_api/upload HTTP/1.1\r\nHost: {netloc}\r\nContent-Length: {LIMITS.max_bytes}"
        f"\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    )
    with ExitStack() as stack:
        slow = []
        for _ in range(4):  # they reserve all the room
            slow.append(stack.enter_context(socket.create_connection((host, int(port)), 60)))
            slow[-1].sendall(f"{head}{part}".encode())
        answers = [one.makefile("rb").read() for one in slow]
    assert [answer.split()[1] for answer in answers] == [b"408"] * 4
    assert set(folders.rglob("*")) <= before
    assert upload(netloc, bytes(1000))[0].status == 200
