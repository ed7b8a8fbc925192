"""Files on the server: who can read them, how large and how many they may be, and how long they stay."""

from __future__ import annotations

import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import gradio as gr
import httpx
import numpy as np
import pytest
from support.space_page import as_file, ask, served

from reliableswap.errors import ReliableSwapError
from reliableswap.media import Picture, read_picture
from reliableswap.provenance.record import Record
from reliableswap.space import files, limits
from reliableswap.space.handlers import verify

FOLDER = files.shared_storage().folder


@pytest.mark.slow
def test_no_path_from_a_client_is_trusted(page: gr.Blocks, pictures: list[str], tmp_path: Path) -> None:
    inside = FOLDER / ".." / ".." / "etc" / "hostname"
    for path in ("/etc/hostname", pictures[0], str(inside), __file__):
        for given in (as_file(path), {"path": path}, path):
            answer = ask(page, "verify", given)
            assert "marked" not in answer.text, f"{path} was opened"
        for address in (f"gradio_api/file={path}", f"file={path}"):
            assert httpx.get(page.local_url + address).status_code in (403, 404)
    link = FOLDER / "link.png"
    link.symlink_to(pictures[0])
    assert "marked" not in ask(page, "verify", as_file(str(link))).text
    link.unlink()


def test_results_have_paths_that_nobody_can_guess(page: gr.Blocks, pictures: list[str]) -> None:
    assert stat.S_IMODE(FOLDER.stat().st_mode) == 0o700
    picture = read_picture(pictures[0])
    one, two = (Path(files.publish(picture, "../../a b.png", Record())) for _ in range(2))
    assert one.parent != two.parent
    assert one.name == "a-b.png"
    assert len(one.parent.name) == 32
    assert one.parent.parent == FOLDER
    assert httpx.get(f"{page.local_url}gradio_api/file={one.parent}").status_code in (403, 404)
    assert httpx.get(f"{page.local_url}gradio_api/file={FOLDER}").status_code in (403, 404)


@pytest.mark.slow
def test_an_upload_that_is_too_large_is_refused_while_it_comes(page: gr.Blocks) -> None:
    upload = f"{page.local_url}gradio_api/upload"
    large = bytes(limits.MAX_BYTES + 1)
    larger = bytes(limits.MAX_RESULT_BYTES + 1)
    assert httpx.post(upload, files={"files": ("large.png", larger)}).status_code == 413
    many = [("files", (f"{n}.png", large)) for n in range(limits.MAX_UPLOAD // len(large) + 1)]
    assert httpx.post(upload, files=many).status_code == 413


def test_a_picture_that_is_too_large_is_not_read() -> None:
    path = FOLDER / "large.png"
    path.write_bytes(bytes(limits.MAX_BYTES + 1))
    with pytest.raises(ReliableSwapError, match=r"me\.png has 20\.0 MB \(the limit is 20 MB\)"):
        files.read_upload(as_file(str(path)), "target photo")
    path.unlink()


@pytest.mark.slow
def test_the_largest_result_can_be_verified() -> None:
    """A result may be larger than an upload to swap: noise does not compress."""
    noise = np.random.default_rng(0).integers(0, 256, (2700, 2700, 3), np.uint8)
    path = Path(files.publish(Picture(noise), "swapped.png", Record()))
    assert limits.MAX_BYTES < path.stat().st_size < limits.MAX_RESULT_BYTES
    assert verify(as_file(str(path)))["made_here"]
    path.unlink()
    assert limits.MAX_PIXELS * 4 <= limits.MAX_RESULT_BYTES <= limits.MAX_UPLOAD


@pytest.fixture
def full_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    """The storage is over its quota, and all files in it count as in use."""
    storage = files.shared_storage()
    monkeypatch.setattr(storage, "in_use_seconds", 1e9)
    monkeypatch.setattr(storage, "quota", 0)


@pytest.mark.usefixtures("full_storage")
def test_an_upload_without_room_is_refused_before_it_is_written(page: gr.Blocks) -> None:
    before = sorted(FOLDER.rglob("*"))
    answer = httpx.post(f"{page.local_url}gradio_api/upload", files={"files": ("a.png", b"picture")})
    assert answer.status_code == 429
    assert answer.json()["detail"].startswith("the server's storage is full right now; please try again")
    assert sorted(FOLDER.rglob("*")) == before


@pytest.mark.usefixtures("full_storage")
def test_a_result_without_room_is_a_clear_error(pictures: list[str]) -> None:
    before = sorted(FOLDER.rglob("*"))
    with pytest.raises(ReliableSwapError, match="storage is full"):
        files.publish(read_picture(pictures[0]), "swapped.png", Record())
    assert sorted(FOLDER.rglob("*")) == before


def test_an_upload_makes_room_by_deleting_what_is_unused(
    page: gr.Blocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = f"{page.local_url}gradio_api/upload"
    (old,) = httpx.post(upload, files={"files": ("old.bin", b"old")}).json()
    storage = files.shared_storage()
    monkeypatch.setattr(storage, "in_use_seconds", -1e9)  # everything counts as unused
    monkeypatch.setattr(storage, "quota", 100_000)
    (new,) = httpx.post(upload, files={"files": ("new.bin", bytes(90_000))}).json()
    assert Path(new).stat().st_size == 90_000
    assert not Path(old).exists()


@pytest.mark.slow
def test_old_files_go_while_the_page_is_served_and_the_sweeper_stops_with_it(
    page: gr.Blocks, pictures: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def sweepers() -> int:
        return sum(thread.name == "reliableswap-sweeper" for thread in threading.enumerate())

    before = sweepers()
    assert before >= 1, "the shared page has one"
    monkeypatch.setattr("reliableswap.space.serve.SWEEP_SECONDS", 0.01)
    with gr.Blocks() as other:
        gr.Markdown("another page")
    served(other)
    try:
        assert sweepers() == before + 1
        path = Path(files.publish(read_picture(pictures[0]), "result.png", Record()))
        assert path.is_file()
        monkeypatch.setattr(files.shared_storage(), "clock", lambda: time.time() + limits.KEEP_SECONDS + 1)
        wait_until(lambda: not path.parent.exists())
    finally:
        other.close()
    wait_until(lambda: sweepers() == before)


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
