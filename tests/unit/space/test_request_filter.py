"""The request filter alone, around a stand-in for Gradio."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest

from reliableswap.space.limits import MAX_BODY, MAX_UPLOAD
from reliableswap.space.request_filter import RequestFilter
from reliableswap.space.storage import Storage


class App:
    """Reads the whole body, and notes what the filter let through."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


def get(app: App, storage: Storage, path: str) -> int:
    """Send a GET request through the filter; the path is decoded, as servers give it. Return the answer's status."""
    answers: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        answers.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "headers": []}
    anyio.run(RequestFilter(app, storage), scope, receive, send)
    status: int = answers[0]["status"]
    return status


def post(app: App, storage: Storage, path: str, *pieces: bytes, declare: bool = True) -> tuple[int, Any]:
    """Send a POST request through the filter; return the answer's status and JSON."""
    headers = [(b"content-length", str(sum(map(len, pieces))).encode())] if declare else []
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    waiting = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})
    answers: list[Any] = []

    async def receive() -> Any:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        answers.append(message)

    anyio.run(RequestFilter(app, storage), scope, receive, send)
    return answers[0]["status"], json.loads(answers[1]["body"])


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path, quota=2 * MAX_UPLOAD)


@pytest.mark.parametrize("path", ["/gradio_api/upload", "/gradio_api/mcp/"])
def test_an_upload_passes_when_there_is_room(path: str, storage: Storage) -> None:
    app = App()
    assert post(app, storage, path, b"x" * 500, b"y" * 500) == (200, {})
    assert app.bodies == [b"x" * 500 + b"y" * 500]
    storage.reserve(storage.quota)  # fails unless all space was released


@pytest.mark.parametrize("path", ["/gradio_api/upload", "/gradio_api/mcp/"])
@pytest.mark.parametrize("declare", [True, False], ids=["declared", "chunked"])
def test_an_upload_without_room_is_refused_before_it_is_read(
    path: str, declare: bool, storage: Storage
) -> None:
    app = App()
    storage.reserve(storage.quota - 100)
    status, answer = post(app, storage, path, b"x" * 101, declare=declare)
    assert status == 429
    assert answer == {"detail": "the server's storage is full right now; please try again in a few minutes"}
    assert app.bodies == []


def test_other_requests_need_no_room(storage: Storage) -> None:
    app = App()
    storage.reserve(storage.quota)
    assert post(app, storage, "/gradio_api/queue/join", b'{"data": [1]}') == (200, {})


def test_an_upload_that_is_too_large_is_refused_and_gives_its_room_back(storage: Storage) -> None:
    app = App()
    piece = bytes(MAX_UPLOAD // 4)
    assert post(app, storage, "/gradio_api/upload", *[piece] * 5)[0] == 413
    assert post(app, storage, "/gradio_api/upload", *[piece] * 5, declare=False)[0] == 413
    assert app.bodies == []
    storage.reserve(storage.quota)


def test_a_call_that_is_too_large_is_refused(storage: Storage) -> None:
    app = App()
    for declare in (True, False):
        status, answer = post(app, storage, "/gradio_api/call/swap", bytes(MAX_BODY + 1), declare=declare)
        assert (status, answer["detail"]) == (413, "the request is too large; the limit is 1 MB")
    assert app.bodies == []


@pytest.mark.parametrize(
    "address", ["http://a.invalid/x.png", "HTTPS://a.invalid/x.png", "//ftp://a.invalid/x.png"]
)
def test_an_address_in_a_file_field_is_refused(address: str, storage: Storage) -> None:
    app = App()
    body = json.dumps({"data": [[{"image": {"path": address}}]]}).encode()
    status, answer = post(app, storage, "/gradio_api/queue/join", body)
    assert status == 422
    assert answer["detail"][0]["message"].startswith("addresses are not fetched here")
    assert app.bodies == []


def test_the_address_of_an_upload_becomes_its_path(storage: Storage) -> None:
    app = App()
    address = "http://here.invalid/gradio_api/file=/uploads/a%20b.png"
    post(app, storage, "/gradio_api/queue/join", json.dumps({"data": [{"path": address}]}).encode())
    assert json.loads(app.bodies[0]) == {"data": [{"path": "/uploads/a b.png", "url": None}]}
    nested = json.dumps({"data": [{"path": "http://a/gradio_api/file=http://b.invalid/"}]}).encode()
    assert post(app, storage, "/gradio_api/queue/join", nested)[0] == 422


@pytest.mark.parametrize("route", ["file=", "file/", "proxy="])
@pytest.mark.parametrize("address", ["http://a.invalid/x", "HTTPS://a.invalid/x", "http%3A//a.invalid/x"])
def test_a_route_that_would_fetch_an_address_is_refused(route: str, address: str, storage: Storage) -> None:
    app = App()
    assert get(app, storage, f"/gradio_api/{route}{address}") == 403
    assert get(app, storage, f"/behind/a/proxy/gradio_api/{route}{address}") == 403
    assert app.bodies == []


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file//uploads/a b.png",
        "/gradio_api/file/uploads/https.png",
        "/gradio_api/file=/uploads/file/http:notes.png",
        "/gradio_api/file//uploads/100%.png",
    ],
)
def test_a_local_file_passes(path: str, storage: Storage) -> None:
    assert get(App(), storage, path) == 200
