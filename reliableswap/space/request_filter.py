"""Refuse requests before Gradio sees them: if too large, if they name a web address to fetch, or if storage is full.

Gradio's file fields also accept http addresses, which it would download without a limit, and its file route would
fetch any address for anybody. This server sends no requests: pictures are uploaded. The address of a file that was
uploaded to this server (MCP clients pass those) is replaced with its path, which Gradio then checks.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

from anyio import to_thread

from .limits import MAX_BODY, MAX_UPLOAD
from .storage import Storage, StorageFullError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_UPLOADED = "/gradio_api/file="
# "/file/" is Gradio's older form of "/file=". It is matched with its prefix only: folders may be called "file" too.
_FETCHING = ("/file=", "/gradio_api/file/", "/proxy=")
_MAX_DEPTH = 32  # Gradio's own requests have only a few levels
_TOO_DEEP = f"the request has more than {_MAX_DEPTH} levels of lists and objects"
_NOT_FETCHED = "addresses are not fetched here; please upload the picture itself"


class _RefusedError(Exception):
    def __init__(self, status: int, reason: str) -> None:
        self.status, self.reason = status, reason


class RequestFilter:
    """ASGI middleware around the whole page."""

    def __init__(self, app: App, storage: Storage) -> None:
        self.app, self.storage = app, storage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            _check_address(scope["path"])
            if scope["method"] != "POST":
                await self.app(scope, receive, send)
            elif any(part in scope["path"] for part in ("/upload", "/mcp")):
                await self._pass_files(scope, receive, send)
            else:
                await self._pass_json(scope, receive, send)
        except _RefusedError as refused:  # also raised while the app reads a body that turns out too large
            await _refuse(send, refused)

    async def _pass_files(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request that holds files, once the storage has room for them."""
        size = _checked_length(scope, MAX_UPLOAD)
        try:
            # In a thread, because it walks through the folder and may delete files.
            await to_thread.run_sync(self.storage.reserve, size)
        except StorageFullError as full:
            raise _RefusedError(429, str(full)) from full
        try:
            await self.app(scope, _limited(receive, MAX_UPLOAD), send)
        finally:
            self.storage.release(size)

    async def _pass_json(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request to a function, with addresses of uploaded files replaced and others refused."""
        _checked_length(scope, MAX_BODY)
        body = _without_addresses(await _read_body(receive, MAX_BODY))
        scope["headers"] = [
            (name, str(len(body)).encode() if name == b"content-length" else value)
            for name, value in scope["headers"]
        ]
        await self.app(scope, _replay(body, receive), send)


def _checked_length(scope: Scope, limit: int) -> int:
    """Return the declared length of the body, or the limit if none is declared; raise if it is over the limit."""
    declared = dict(scope["headers"]).get(b"content-length")
    length = limit if declared is None else int(declared)
    if length > limit:
        raise _too_large(limit)
    return length


def _too_large(limit: int) -> _RefusedError:
    return _RefusedError(413, f"the request is too large; the limit is {limit >> 20} MB")


def _check_address(path: str) -> None:
    for route in _FETCHING:
        _, found, rest = path.partition(route)
        if found and _is_address(unquote(rest)):
            raise _RefusedError(403, _NOT_FETCHED)


def _is_address(text: str) -> bool:
    return text.lower().lstrip("/").startswith(("http:", "https:", "ftp:"))


def _without_addresses(body: bytes) -> bytes:
    """Return the JSON with addresses of uploaded files as paths; raise if a file field holds any other address."""
    try:
        content = json.loads(body)
    except ValueError:
        return body  # Gradio reports what is wrong with it
    except RecursionError:
        raise _RefusedError(422, _TOO_DEEP) from None
    return json.dumps(_with_paths(content)).encode()


def _with_paths(node: Any, depth: int = 0) -> Any:
    if depth > _MAX_DEPTH:
        raise _RefusedError(422, _TOO_DEEP)
    if isinstance(node, list):
        return [_with_paths(item, depth + 1) for item in node]
    if not isinstance(node, dict):
        return node
    path = node.get("path")
    if isinstance(path, str) and _is_address(path):
        _, uploaded, local = path.partition(_UPLOADED)
        if not uploaded or _is_address(unquote(local)):
            raise _RefusedError(422, _NOT_FETCHED)
        node = {**node, "path": unquote(local), "url": None}
    return {name: _with_paths(value, depth + 1) for name, value in node.items()}


async def _read_body(receive: Receive, limit: int) -> bytes:
    limited, body, more = _limited(receive, limit), bytearray(), True
    while more:
        message = await limited()
        if message["type"] != "http.request":
            break
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)


def _limited(receive: Receive, limit: int) -> Receive:
    """Count the bytes of the body as they pass, and raise once they exceed the limit."""
    passed = 0

    async def counting() -> Message:
        nonlocal passed
        message = await receive()
        passed += len(message.get("body", b""))
        if passed > limit:
            raise _too_large(limit)
        return message

    return counting


def _replay(body: bytes, receive: Receive) -> Receive:
    """Replay the body that was already read, then pass on what follows, such as the client's disconnect."""
    sent = False

    async def replaying() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replaying


async def _refuse(send: Send, refused: _RefusedError) -> None:
    detail: Any = refused.reason
    if refused.status == 422:  # Gradio's clients, among them its MCP server, read this shape only
        failed = {"__type__": "validate", "is_valid": False, "parameter_name": "request"}
        detail = [{**failed, "message": refused.reason}]
    body = json.dumps({"detail": detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
