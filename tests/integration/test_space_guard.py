"""What the Space keeps from strangers: files, addresses, the queue, other clients' results, its own errors."""

from __future__ import annotations

import stat
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from support.space_page import as_file, ask, connect, served

from reliableswap import ReliableSwapPipeline
from reliableswap.errors import ReliableSwapError
from reliableswap.faces.face import Face
from reliableswap.media import read_picture
from reliableswap.space import build, files, limits


def test_no_path_from_a_client_is_trusted(page: gr.Blocks, pictures: list[str], tmp_path: Path) -> None:
    inside = files.folder() / ".." / ".." / "etc" / "hostname"
    for path in ("/etc/hostname", pictures[0], str(inside), __file__):
        for given in (as_file(path), {"path": path}, path):
            answer = ask(page, "verify", given)
            assert "marked" not in answer.text, f"{path} was opened"
        for address in (f"gradio_api/file={path}", f"file={path}"):
            assert httpx.get(page.local_url + address).status_code in (403, 404)
    link = files.folder() / "link.png"
    link.symlink_to(pictures[0])
    assert "marked" not in ask(page, "verify", as_file(str(link))).text
    link.unlink()


def test_no_address_from_a_client_is_fetched(page: gr.Blocks) -> None:
    asked: list[str] = []

    class Neighbour(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *about: Any) -> None:
            pass

    neighbour = HTTPServer(("127.0.0.1", 0), Neighbour)
    threading.Thread(target=neighbour.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{neighbour.server_port}/face.png"
    try:
        for scheme in (address, address.replace("http", "HTTP"), "https://example.invalid/face.png"):
            answer = ask(page, "verify", as_file(scheme))
            assert answer.status_code == 422
            assert answer.json()["detail"].startswith("addresses are not fetched here")
            for route in ("file", "proxy"):
                assert httpx.get(f"{page.local_url}gradio_api/{route}={scheme}").status_code == 403
    finally:
        neighbour.shutdown()
        neighbour.server_close()
    assert asked == []


def test_the_address_of_an_uploaded_file_is_that_file(page: gr.Blocks, pictures: list[str]) -> None:
    with Path(pictures[0]).open("rb") as stream:
        (path,) = httpx.post(f"{page.local_url}gradio_api/upload", files={"files": stream}).json()
    answer = ask(page, "verify", as_file(f"http://anywhere.invalid/gradio_api/file={path}"))
    assert "made_here" in answer.text


@pytest.mark.parametrize("way", ["gradio_api/run/swap", "gradio_api/api/swap"])
def test_nobody_gets_past_the_queue(page: gr.Blocks, way: str) -> None:
    answer = httpx.post(f"{page.local_url}{way}", json={"data": [None] * 12})
    assert answer.status_code == 404, answer.text


def test_a_request_without_files_is_small(page: gr.Blocks) -> None:
    url = f"{page.local_url}gradio_api/call/verify"
    padded = {"data": [None], "more": "x" * (limits.MAX_BODY + 1)}
    assert httpx.post(url, json=padded).status_code == 413

    def pieces() -> Iterator[bytes]:  # a body that does not say how long it is
        for _ in range(20):
            yield b"x" * (limits.MAX_BODY // 10)

    assert httpx.post(url, content=pieces()).status_code == 413
    assert httpx.post(url, content=b"{").status_code < 500
    for deep in (40, 900, 100_000):
        answer = httpx.post(url, content=b"[" * deep + b"]" * deep)
        assert answer.status_code == 422, deep
        assert "levels of lists" in answer.json()["detail"]


def test_results_lie_where_nobody_can_guess(client: Client, page: gr.Blocks, pictures: list[str]) -> None:
    assert stat.S_IMODE(files.folder().stat().st_mode) == 0o700
    picture = read_picture(pictures[0])
    one, two = (Path(files.publish(picture, "../../a b.png", ai_made=True)) for _ in range(2))
    assert one.parent != two.parent
    assert one.name == "a-b.png"
    assert len(one.parent.name) == 32
    assert one.parent.parent == files.folder()
    assert httpx.get(f"{page.local_url}gradio_api/file={one.parent}").status_code in (403, 404)
    assert httpx.get(f"{page.local_url}gradio_api/file={files.folder()}").status_code in (403, 404)


def test_files_older_than_an_hour_go(pictures: list[str]) -> None:
    path = Path(files.publish(read_picture(pictures[0]), "result.png", ai_made=True))
    files.sweep(time.time() + limits.KEEP_SECONDS - 60)
    assert path.is_file()
    files.sweep(time.time() + limits.KEEP_SECONDS + limits.SWEEP_SECONDS)
    assert not path.parent.exists()


class Held:
    """An analyser that waits for leave, and knows how many wait in it at once."""

    name = "held"

    def __init__(self) -> None:
        self.leave, self.inside, self.most = threading.Event(), 0, 0

    def __call__(self, image: np.ndarray) -> list[Face]:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.leave.wait(20)
        self.inside -= 1
        raise ReliableSwapError("held is done")


def test_one_job_runs_and_the_queue_ends_somewhere(pictures: list[str]) -> None:
    pipe = ReliableSwapPipeline.bundled()
    held = Held()
    pipe.analyser = held
    page = served(build(pipe))
    try:
        client = connect(page)
        waiting = limits.QUEUE_SIZE + 6
        jobs = [client.submit(target=handle_file(pictures[0]), api_name="/faces") for _ in range(waiting)]
        deadline = time.time() + 15
        while sum(job.done() for job in jobs) < 4 and time.time() < deadline:
            time.sleep(0.05)
        held.leave.set()
        said = [str(job.exception(timeout=20)) for job in jobs]
    finally:
        held.leave.set()
        page.close()
    assert held.most == 1
    full = [one for one in said if "queue" in one.lower()]
    assert 1 <= len(full) <= 6
    assert sum("held is done" in one for one in said) == waiting - len(full)


def test_what_nobody_foresaw_is_an_apology(pictures: list[str]) -> None:
    class Broken:
        name = "broken"

        def __call__(self, image: np.ndarray) -> list[Face]:
            raise RuntimeError("the secret is in /etc/secret")

    pipe = ReliableSwapPipeline.bundled()
    pipe.analyser = Broken()
    page = served(build(pipe))
    try:
        with pytest.raises(Exception, match="something went wrong") as caught:
            connect(page).predict(target=handle_file(pictures[0]), api_name="/faces")
        assert "secret" not in str(caught.value)
    finally:
        page.close()
