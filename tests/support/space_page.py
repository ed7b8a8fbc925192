"""A served page, its clients, and a neighbouring server, for the tests of the Space."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import gradio as gr
import httpx
import numpy as np
from gradio_client import Client, handle_file

from reliableswap.media import read_picture
from reliableswap.space import launch, limits


def served(page: gr.Blocks) -> gr.Blocks:
    return launch(page, prevent_thread_lock=True, quiet=True, server_port=None)


def close(page: gr.Blocks) -> None:
    """Stop a served page.

    Gradio sets an asyncio event of the server's thread from this one, which raises an error if a client's heartbeat
    ends at that moment. The server stops all the same.
    """
    with suppress(RuntimeError):
        page.close(verbose=False)
    page.server.close()


def connect(page: gr.Blocks) -> Client:
    return Client(page.local_url, verbose=False, analytics_enabled=False)


def swap(
    client: Client, sources: Sequence[str], target: str, agreed: Any = True, **more: Any
) -> tuple[str, dict]:
    names = ["source", *(f"source_{number}" for number in range(1, limits.MAX_SOURCES))]
    given = {name: handle_file(path) for name, path in zip(names, sources, strict=False)}
    given["target"] = handle_file(target)
    result: tuple[str, dict] = client.predict(**given, agreed=agreed, **more, api_name="/swap")
    return result


def pixels(path: str) -> np.ndarray:
    return read_picture(path).pixels


def ask(page: gr.Blocks, endpoint: str, *data: Any) -> httpx.Response:
    """Call an endpoint as any program could, without the client's checks."""
    url = f"{page.local_url}gradio_api/call/{endpoint}"
    answer = httpx.post(url, json={"data": list(data)})
    if answer.status_code != 200:
        return answer
    return httpx.get(f"{url}/{answer.json()['event_id']}", timeout=60)


def as_file(path: str) -> dict[str, Any]:
    """A file as Gradio's own clients send it."""
    return {"path": path, "orig_name": "me.png", "meta": {"_type": "gradio.FileData"}}


@contextmanager
def counting_server() -> Iterator[tuple[str, list[str]]]:
    """Run an HTTP server on this machine; yield the address of a picture on it, and the requests it got."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_HEAD = do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/face.png", requests
    finally:
        server.shutdown()
        server.server_close()
