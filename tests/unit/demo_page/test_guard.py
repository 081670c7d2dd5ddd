"""Foreign and oversized requests are refused, and uploads never exceed their total limit."""

import asyncio
import os

import pytest

from emosphere_sb.demo_page.guard import (
    FORM_BYTES,
    MAX_REQUEST_BYTES,
    RequestGuard,
    host_name,
    is_own_request,
)
from emosphere_sb.demo_page.uploads import Uploads

LOCAL = {"host": "127.0.0.1:7860"}


def pairs(headers):
    return [(name.encode(), value.encode()) for name, value in headers.items()]


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        (LOCAL, True), ({"host": "localhost"}, True), ({"host": "LOCALHOST:80"}, True),
        ({"host": "[::1]:7860"}, True), ({}, False), ({"host": ""}, False),
        ({"host": "evil.example"}, False), ({"host": "evil.example:7860"}, False),
        ({"host": "127.0.0.1.evil.example"}, False), ({"host": "localhost.evil.example"}, False),
        ({"host": "127.0.0.1:7860@evil.example"}, False), ({"host": "a@127.0.0.1"}, False),
        ({"host": "127.0.0.1/evil"}, False), ({"host": "127.0.0.1:x"}, False),
        ({"host": "192.168.1.2:7860"}, False), ({"host": "0.0.0.0:7860"}, False),
        (LOCAL | {"origin": "http://127.0.0.1:7860"}, True),
        (LOCAL | {"origin": "https://127.0.0.1:7860"}, True),  # a tunnel with encryption
        (LOCAL | {"origin": "http://127.0.0.1:3000"}, False),  # another server on this machine
        (LOCAL | {"origin": "http://localhost:7860"}, False),
        (LOCAL | {"origin": "http://evil.example"}, False), (LOCAL | {"origin": "null"}, False),
        (LOCAL | {"origin": ""}, False),
        (LOCAL | {"origin": "http://127.0.0.1:7860.evil.example"}, False),
    ],
)  # fmt: skip
def test_own_requests(headers, own):
    assert is_own_request(pairs(headers)) is own


@pytest.mark.parametrize(
    ("site", "mode", "own"),
    [
        ("cross-site", "no-cors", False), ("cross-site", "cors", False),
        ("cross-site", "websocket", False), ("Cross-Site", "no-cors", False),
        ("cross-site", None, False), ("cross-site", "navigate", True),  # a link to the page
        ("same-origin", "cors", True), ("none", "navigate", True), (None, "no-cors", True),
    ],
)  # fmt: skip
def test_requests_of_other_sites_without_an_origin(guard, site, mode, own):
    headers = {"sec_fetch_site": site, "sec_fetch_mode": mode}
    headers = LOCAL | {name: value for name, value in headers.items() if value}
    assert ask(guard(), **headers) == (200 if own else 403)
    assert ask(guard(), **headers, kind="websocket") == (200 if own else "websocket.close")


def test_several_modes_of_another_site_are_rejected():
    modes = [(b"sec-fetch-mode", b"navigate"), (b"sec-fetch-mode", b"no-cors")]
    assert not is_own_request([*pairs(LOCAL), (b"sec-fetch-site", b"cross-site"), *modes])


def test_several_hosts_are_rejected():
    assert not is_own_request([(b"host", b"127.0.0.1"), (b"host", b"evil.example")])


def test_host_name_of_an_invalid_address_is_empty():
    assert [host_name(text) for text in ("[::1", "127.0.0.1?x", "127.0.0.1#x", "\\x")] == [
        "", "", "", "\\x",
    ]  # fmt: skip


def ask(guard_or_app, path="/", method="GET", kind="http", **headers):
    """Return the status of the answer, and what the application has received."""
    sent = []

    async def send(message):
        sent.append(message)

    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {"type": kind, "path": path, "method": method, "headers": pairs(headers)}
    asyncio.run(guard_or_app(scope, None, send))
    return sent[0].get("status", sent[0]["type"])


@pytest.fixture
def guard(tmp_path):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    def make(local=True, max_bytes=1000, total=8000):
        return RequestGuard(app, Uploads(tmp_path, total), max_bytes, local)

    return make


def test_foreign_requests_are_rejected(guard):
    assert ask(guard(), **LOCAL) == 200
    assert ask(guard(), host="evil.example") == 403
    assert ask(guard(), host="evil.example", kind="websocket") == "websocket.close"
    assert ask(guard(), **LOCAL, origin="http://evil.example") == 403
    assert ask(guard(local=False), host="my.server") == 200


@pytest.mark.parametrize(
    ("path", "length", "status"),
    [
        ("/gradio_api/queue/join", MAX_REQUEST_BYTES, 200),
        ("/gradio_api/queue/join", MAX_REQUEST_BYTES + 1, 413),
        ("/gradio_api/upload", 1000 + FORM_BYTES, 200), ("/upload", 1001 + FORM_BYTES, 413),
        ("/gradio_api/upload/", 1001 + FORM_BYTES, 413),
        ("/gradio_api/upload", -1, 411), ("/gradio_api/upload", "1e3", 411),
    ],
)  # fmt: skip
def test_size_of_requests_is_limited(guard, path, length, status):
    own = guard(total=10**6)
    assert ask(own, path, "POST", **LOCAL, content_length=str(length)) == status


def test_request_without_a_length_is_rejected(guard):
    assert ask(guard(), "/gradio_api/upload", "POST", **LOCAL) == 411
    chunked = {"content_length": "5", "transfer_encoding": "chunked"}
    assert ask(guard(), "/gradio_api/upload", "POST", **LOCAL, **chunked) == 411


def test_a_hundred_uploads_never_exceed_the_limit(tmp_path):
    uploads, sizes = Uploads(tmp_path, 8000), []
    for number in range(100):
        assert uploads.reserve(1000)
        (tmp_path / str(number)).mkdir()
        path = tmp_path / str(number) / "a.wav"
        path.write_bytes(bytes(1000))
        os.utime(path, ns=(number, number))
        uploads.release(1000)
        sizes.append(sum(p.stat().st_size for p in tmp_path.rglob("*.wav")))
    assert max(sizes) <= 8000
    left = sorted(int(path.parent.name) for path in tmp_path.rglob("*.wav"))
    assert left == list(range(93, 100))  # the newest; folders of the others are deleted, too
    assert len(list(tmp_path.iterdir())) == 7


def test_uploads_at_the_same_time_share_the_limit(tmp_path):
    uploads = Uploads(tmp_path, 4000)
    assert [uploads.reserve(1000) for _ in range(3)] == [True, True, False]
    uploads.release(1000)
    assert uploads.reserve(1000)
