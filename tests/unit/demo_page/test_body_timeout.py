"""Uploads from which no more bytes arrive are stopped, and their reservation is released."""

import asyncio

import pytest

pytest.importorskip("starlette", reason="the extra 'page' is not installed")

from emosphere_sb.demo_page import body_timeout
from emosphere_sb.demo_page.guard import RequestGuard
from emosphere_sb.demo_page.uploads import Uploads

PART = {"type": "http.request", "body": b"x", "more_body": True}
LAST = {"type": "http.request", "body": b"x", "more_body": False}
SCOPE = {
    "type": "http", "path": "/gradio_api/upload", "method": "POST",
    "headers": [(b"host", b"127.0.0.1:7860"), (b"content-length", b"1000")],
}  # fmt: skip
ANSWER = {"type": "http.response.start", "status": 200, "headers": []}


@pytest.fixture
def uploads(tmp_path, monkeypatch):
    monkeypatch.setattr(body_timeout, "IDLE_SECONDS", 0.2)
    return Uploads(tmp_path, 2000)  # room for one upload of 1000 bytes and its copy


async def reads_all(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send(ANSWER)


async def answers_errors(scope, receive, send):
    """As a framework that turns exceptions into answers."""
    try:
        await reads_all(scope, receive, send)
    except Exception:
        await send({**ANSWER, "status": 400})


def connection(*messages, pause=0.0):
    """Messages of a client that stays connected after them and sends nothing."""
    left = list(messages)

    async def receive():
        if not left:
            await asyncio.Event().wait()
        await asyncio.sleep(pause)
        return left.pop(0)

    return receive


async def status(app, uploads, receive):
    """Status of the one answer."""
    sent = []

    async def send(message):
        sent.append(message)

    guard = RequestGuard(app, uploads, 1000)
    await asyncio.wait_for(guard(dict(SCOPE), receive, send), 60)
    (first,) = (message for message in sent if message["type"] == "http.response.start")
    return first["status"]


@pytest.mark.parametrize("app", [reads_all, answers_errors])
@pytest.mark.parametrize("messages", [(), (PART,), (PART, PART)])
def test_upload_that_stops_is_answered_and_its_room_is_released(uploads, app, messages):
    assert asyncio.run(status(app, uploads, connection(*messages))) == 408
    assert uploads.reserve(1000)


def test_slow_connections_hold_their_room_only_until_the_timeout(uploads):
    async def run():
        slow = asyncio.create_task(status(reads_all, uploads, connection(PART)))
        await asyncio.sleep(0)
        refused = await status(reads_all, uploads, connection(LAST))
        return refused, await slow, await status(reads_all, uploads, connection(LAST))

    assert asyncio.run(run()) == (503, 408, 200)


def test_slow_upload_that_keeps_arriving_is_accepted(uploads, monkeypatch):
    """In total, it takes longer than the limit."""
    monkeypatch.setattr(body_timeout, "IDLE_SECONDS", 1.0)
    receive = connection(*[PART] * 11, LAST, pause=0.1)
    assert asyncio.run(status(reads_all, uploads, receive)) == 200


def test_time_after_the_body_is_not_limited(uploads):
    async def processes(scope, receive, send):
        await receive()
        waiting = asyncio.ensure_future(receive())  # for the end of the connection
        await asyncio.wait([waiting], timeout=0.6)
        assert not waiting.done()
        waiting.cancel()
        await send(ANSWER)

    assert asyncio.run(status(processes, uploads, connection(LAST))) == 200


def test_other_errors_are_raised_and_the_room_is_released(uploads):
    async def fails(scope, receive, send):
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        asyncio.run(status(fails, uploads, connection(LAST)))
    assert uploads.reserve(1000)
