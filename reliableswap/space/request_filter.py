"""What is turned away before Gradio sees it: requests too large, and addresses that the server should fetch.

Gradio's file fields also take http addresses, which the server would download without a limit, and its file route
would fetch addresses for anybody. This server sends no request to anyone: pictures are uploaded. Addresses of
files that lie here already (MCP clients upload first and pass those) become the plain paths, which Gradio checks.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

from .limits import MAX_BODY, MAX_UPLOAD

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_OURS = "/gradio_api/file="
_DEEPEST = 32  # nothing that Gradio sends has more than a handful of levels
_DEEP = f"the request has more than {_DEEPEST} levels of lists and objects"
_REMOTE = "addresses are not fetched here; please upload the picture itself"


class _RefusedError(Exception):
    def __init__(self, status: int, reason: str) -> None:
        self.status, self.reason = status, reason


class Gate:
    """ASGI middleware around the whole page."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            _check_address(scope["path"])
            if scope["method"] == "POST":
                receive = await self._checked_body(scope, receive)
            await self.app(scope, receive, send)
        except _RefusedError as refused:  # also from a body that turns out too large while the app reads it
            await _refuse(send, refused)

    async def _checked_body(self, scope: Scope, receive: Receive) -> Receive:
        """The same body, read whole if it is JSON for a function; others are counted while they pass."""
        path, headers = scope["path"], dict(scope["headers"])
        small = not any(part in path for part in ("/upload", "/mcp"))
        limit = MAX_BODY if small else MAX_UPLOAD
        if int(headers.get(b"content-length") or 0) > limit:
            raise _RefusedError(413, f"the request is too large; at most {limit >> 20} MB are taken")
        if not small:
            return _counted(receive, limit)
        body = _without_addresses(await _whole(receive, limit))
        scope["headers"] = [
            (name, str(len(body)).encode() if name == b"content-length" else value)
            for name, value in scope["headers"]
        ]
        return _replay(body, receive)


def _check_address(path: str) -> None:
    for route in ("/file=", "/proxy="):
        _, found, rest = path.partition(route)
        if found and _is_address(unquote(rest)):
            raise _RefusedError(403, _REMOTE)


def _is_address(text: str) -> bool:
    return text.lower().lstrip("/").startswith(("http:", "https:", "ftp:"))


def _without_addresses(body: bytes) -> bytes:
    """The JSON with addresses of our own files as paths; raise if a file field holds any other."""
    try:
        content = json.loads(body)
    except ValueError:
        return body  # Gradio says what is wrong with it
    except RecursionError:
        raise _RefusedError(422, _DEEP) from None
    return json.dumps(_localised(content)).encode()


def _localised(node: Any, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        raise _RefusedError(422, _DEEP)
    if isinstance(node, list):
        return [_localised(item, depth + 1) for item in node]
    if not isinstance(node, dict):
        return node
    path = node.get("path")
    if isinstance(path, str) and _is_address(path):
        _, ours, local = path.partition(_OURS)
        if not ours or _is_address(unquote(local)):
            raise _RefusedError(422, _REMOTE)
        node = {**node, "path": unquote(local), "url": None}
    return {name: _localised(value, depth + 1) for name, value in node.items()}


async def _whole(receive: Receive, limit: int) -> bytes:
    counted, body, more = _counted(receive, limit), bytearray(), True
    while more:
        message = await counted()
        if message["type"] != "http.request":
            break
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)


def _counted(receive: Receive, limit: int) -> Receive:
    passed = 0

    async def counting() -> MutableMapping[str, Any]:
        nonlocal passed
        message = await receive()
        passed += len(message.get("body", b""))
        if passed > limit:
            raise _RefusedError(413, f"the request is too large; at most {limit >> 20} MB are taken")
        return message

    return counting


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replaying() -> MutableMapping[str, Any]:
        nonlocal sent
        if sent:
            return await receive()  # the client's hanging up
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replaying


async def _refuse(send: Send, refused: _RefusedError) -> None:
    body = json.dumps({"detail": refused.reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
