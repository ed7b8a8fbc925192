"""Requests: addresses, sizes, the queue, and unexpected errors."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gradio as gr
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from support.space_page import as_file, ask, close, connect, counting_server, served

from reliableswap import FaceAnalyser, ReliableSwapPipeline
from reliableswap.errors import ReliableSwapError
from reliableswap.faces.face import Face
from reliableswap.space import build, limits


def test_an_address_from_a_client_is_refused_and_not_fetched(page: gr.Blocks) -> None:
    with counting_server() as (address, requests):
        for url in (address, address.replace("http", "HTTP"), "https://example.invalid/face.png"):
            for file in (as_file(url), {"path": url, "url": url}, [{"image": as_file(url)}]):
                answer = ask(page, "verify", file)
                assert answer.status_code == 422
                assert answer.json()["detail"][0]["message"].startswith("addresses are not fetched here")
            for route in ("file=", "file/", "proxy="):
                assert httpx.get(f"{page.local_url}gradio_api/{route}{url}").status_code == 403
    assert requests == []


def test_an_address_in_place_of_a_file_is_not_fetched(page: gr.Blocks) -> None:
    with counting_server() as (address, requests):
        for given in (address, {"url": address}, {"path": "face.png", "url": address}):
            assert "marked" not in ask(page, "verify", given).text
    assert requests == []


def test_gradios_client_is_told_that_addresses_are_refused(client: Client) -> None:
    with (
        counting_server() as (address, requests),
        pytest.raises(Exception, match="addresses are not fetched here"),
    ):
        client.predict(file=handle_file(address), api_name="/verify")
    assert requests == []


def test_the_address_of_an_uploaded_file_is_that_file(page: gr.Blocks, pictures: list[str]) -> None:
    with Path(pictures[0]).open("rb") as stream:
        (path,) = httpx.post(f"{page.local_url}gradio_api/upload", files={"files": stream}).json()
    answer = ask(page, "verify", as_file(f"http://anywhere.invalid/gradio_api/file={path}"))
    assert "made_here" in answer.text


@pytest.mark.parametrize("way", ["gradio_api/run/swap", "gradio_api/api/swap"])
def test_the_queue_cannot_be_bypassed(page: gr.Blocks, way: str) -> None:
    answer = httpx.post(f"{page.local_url}{way}", json={"data": [None] * 12})
    assert answer.status_code == 404, answer.text


def test_a_request_without_files_is_small(page: gr.Blocks) -> None:
    url = f"{page.local_url}gradio_api/call/verify"
    padded = {"data": [None], "more": "x" * (limits.MAX_BODY + 1)}
    assert httpx.post(url, json=padded).status_code == 413

    def pieces() -> Iterator[bytes]:  # a body without a Content-Length
        for _ in range(20):
            yield b"x" * (limits.MAX_BODY // 10)

    assert httpx.post(url, content=pieces()).status_code == 413
    assert httpx.post(url, content=b"{").status_code < 500
    for deep in (40, 900, 100_000):
        answer = httpx.post(url, content=b"[" * deep + b"]" * deep)
        assert answer.status_code == 422, deep
        assert "levels of lists" in answer.json()["detail"][0]["message"]


class WaitingAnalyser:
    """An analyser that waits until it is released, and records the largest number of simultaneous calls."""

    name = "waiting"

    def __init__(self) -> None:
        self.released, self.inside, self.most = threading.Event(), 0, 0

    def __call__(self, image: np.ndarray) -> list[Face]:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.released.wait(20)
        self.inside -= 1
        raise ReliableSwapError("the analyser was released")


class BrokenAnalyser:
    name = "broken"

    def __call__(self, image: np.ndarray) -> list[Face]:
        raise RuntimeError("the secret is in /etc/secret")


@contextmanager
def page_with(analyser: FaceAnalyser) -> Iterator[gr.Blocks]:
    pipe = ReliableSwapPipeline.bundled()
    pipe.analyser = analyser
    page = served(build(pipe))
    try:
        yield page
    finally:
        close(page)


@pytest.mark.slow
def test_one_job_runs_at_a_time_and_the_queue_has_an_end(
    pictures: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reliableswap.space.serve.QUEUE_SIZE", 3)
    analyser = WaitingAnalyser()
    with page_with(analyser) as page:
        client = connect(page)
        jobs = [client.submit(target=handle_file(pictures[0]), api_name="/faces") for _ in range(8)]
        deadline = time.monotonic() + 60
        while sum(job.done() for job in jobs) < 4 and time.monotonic() < deadline:
            time.sleep(0.02)
        analyser.released.set()
        said = [str(job.exception(timeout=60)) for job in jobs]
    assert analyser.most == 1
    refused = [one for one in said if "queue" in one.lower()]
    assert 4 <= len(refused) <= 5, "one runs and three wait; the running one may still have been in the queue"
    assert sum("the analyser was released" in one for one in said) == len(jobs) - len(refused)


@pytest.mark.slow
def test_an_unexpected_error_is_an_apology_without_details(pictures: list[str]) -> None:
    with (
        page_with(BrokenAnalyser()) as page,
        pytest.raises(Exception, match="something went wrong") as caught,
    ):
        connect(page).predict(target=handle_file(pictures[0]), api_name="/faces")
    assert "secret" not in str(caught.value)
