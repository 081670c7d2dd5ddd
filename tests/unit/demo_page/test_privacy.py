"""HTTP headers of all responses."""

import asyncio

import pytest

from emosphere_sb.demo_page.privacy import POLICY, PrivateHeaders


def headers(path, kind="http"):
    """The headers of an answer that has some of its own."""
    sent = []

    async def app(scope, receive, send):
        own = [(b"cache-control", b"max-age=9"), (b"content-security-policy", b"default-src *")]
        await send({"type": "http.response.start", "status": 200, "headers": own})
        await send({"type": "http.response.body", "body": b"text"})

    async def send(message):
        sent.append(message)

    asyncio.run(PrivateHeaders(app)({"type": kind, "path": path}, None, send))
    assert sent[1] == {"type": "http.response.body", "body": b"text"}
    return sent[0]["headers"]


def test_policy_replaces_the_policy_of_the_application():
    found = [value for name, value in headers("/") if name == b"content-security-policy"]
    assert found == [POLICY.encode()]


@pytest.mark.parametrize("part", POLICY.split("; "))
def test_no_other_host_is_allowed(part):
    allowed = {"'self'", "'none'", "'unsafe-inline'", "'unsafe-eval'", "data:", "blob:"}
    assert set(part.split()[1:]) <= allowed


def test_browser_caches_scripts_but_not_recordings():
    assert dict(headers("/gradio_api/file=x.wav"))[b"cache-control"] == b"no-store"
    assert dict(headers("/assets/index.js"))[b"cache-control"] == b"max-age=9"


def test_other_protocols_are_unchanged():
    assert (b"content-security-policy", b"default-src *") in headers("/", kind="websocket")
