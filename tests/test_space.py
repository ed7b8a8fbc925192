"""The Space through its API: right answers, consent, limits, and nothing of one client for another."""

from __future__ import annotations

import base64
import stat
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import gradio as gr
import httpx
import numpy as np
import pytest
from conftest import person
from gradio_client import Client, handle_file
from PIL import Image

from reliableswap import ReliableSwapPipeline
from reliableswap.blend import BlendSettings
from reliableswap.errors import ReliableSwapError
from reliableswap.faces.face import Face
from reliableswap.media import Picture, read_picture, write_picture
from reliableswap.provenance import read_mark
from reliableswap.report import FaceReport, SwapReport
from reliableswap.space import build, consent, files, launch, limits
from reliableswap.space.answers import marks_html, read_marks
from reliableswap.space.making import figure
from reliableswap.space.photo import ALONE, assigned, captioned, show_faces
from reliableswap.space.work import Worker, parse_faces, report_html


def served(page: gr.Blocks) -> gr.Blocks:
    return launch(page, prevent_thread_lock=True, quiet=True, server_port=None)


@pytest.fixture(scope="module")
def page() -> Iterator[gr.Blocks]:
    page = served(build())
    yield page
    page.close()


def connect(page: gr.Blocks) -> Client:
    return Client(page.local_url, verbose=False, analytics_enabled=False)


@pytest.fixture(scope="module")
def client(page: gr.Blocks) -> Client:
    return connect(page)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Portraits of four people, 320 pixels a side."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(1, 5):
        with Image.open(person(number)) as image:
            image.convert("RGB").resize((320, 320), Image.Resampling.LANCZOS).save(folder / f"{number}.png")
    return [str(folder / f"{number}.png") for number in range(1, 5)]


@pytest.fixture(scope="module")
def couple(pictures: list[str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two people in one photo, the larger face on the right."""
    photo = Image.new("RGB", (560, 320), "grey")
    photo.paste(Image.open(pictures[2]).resize((240, 240)), (0, 40))
    photo.paste(Image.open(pictures[3]), (240, 0))
    path = tmp_path_factory.mktemp("couple") / "couple.png"
    photo.save(path)
    return str(path)


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


def test_a_result_is_marked_noted_and_reported(client: Client, pictures: list[str]) -> None:
    path, report = swap(client, pictures[:1], pictures[1])
    mark = read_mark(path)
    assert mark is not None
    assert mark.ai_made
    assert mark.details["consent"] == consent.STATEMENT
    assert mark.details["engine"] == report["engine"] == "neural"
    assert report["note"].startswith("Made by AI")
    assert report["faces"][0]["swapped"]
    assert report["faces"][0]["source"] == "1.png"
    assert report["seconds"] > 0

    before, after = pixels(pictures[1]), pixels(path)
    x0, y0, x1, y1 = (round(v) for v in report["faces"][0]["box"])
    assert np.abs(after[y0:y1, x0:x1].astype(int) - before[y0:y1, x0:x1]).mean() > 5
    assert np.array_equal(after[:30], before[:30])
    assert (after[-8:, -40:] != before[-8:, -40:]).any()  # the note in the corner


def test_each_face_gets_the_source_it_is_mapped_to(client: Client, pictures: list[str], couple: str) -> None:
    _, faces = client.predict(target=handle_file(couple), api_name="/faces")
    assert [face["index"] for face in faces] == [0, 1]
    assert faces[0]["box"][0] > 240 > faces[1]["box"][2]  # the largest first, and it is the right one

    path, report = swap(client, pictures[:2], couple, faces="0=1, 1=0")
    assert [face["source"] for face in report["faces"]] == ["2.png", "1.png"]
    only, report = swap(client, pictures[:2], couple, faces="1=1")
    assert [face["swapped"] for face in report["faces"]] == [False, True]
    assert np.array_equal(pixels(only)[:280, 260:], pixels(couple)[:280, 260:])
    assert not np.array_equal(pixels(path)[:280, 260:], pixels(couple)[:280, 260:])


def test_strengths_change_the_result(client: Client, pictures: list[str]) -> None:
    nothing, _ = swap(client, pictures[:1], pictures[1], likeness=0.0)
    assert np.array_equal(pixels(nothing)[:-20], pixels(pictures[1])[:-20])  # but for the note
    whole, _ = swap(client, pictures[:1], pictures[1], shape=0.0)
    moved, _ = swap(client, pictures[:1], pictures[1], shape=1.0)
    assert not np.array_equal(pixels(whole), pixels(moved))


@pytest.mark.parametrize("agreed", [False, None, "true", 1, "false"])
def test_without_consent_nothing_is_made(client: Client, pictures: list[str], agreed: Any) -> None:
    with pytest.raises(Exception, match="confirm that the people shown agreed"):
        swap(client, pictures[:1], pictures[1], agreed)
    a, b = (handle_file(picture) for picture in pictures[:2])
    with pytest.raises(Exception, match="confirm that the people shown agreed"):
        client.predict(a=a, b=b, agreed=agreed, api_name="/triplets")


def test_consent_has_to_be_said(client: Client, pictures: list[str]) -> None:
    parameters = client.view_api(return_format="dict")["named_endpoints"]["/swap"]["parameters"]
    (agreed,) = [one for one in parameters if one["parameter_name"] == "agreed"]
    assert not agreed["parameter_has_default"]
    with pytest.raises(TypeError, match="agreed"):
        client.predict(source=handle_file(pictures[0]), target=handle_file(pictures[1]), api_name="/swap")


def test_the_boxes_on_the_page_are_not_ticked(page: gr.Blocks) -> None:
    boxes = [block for block in page.blocks.values() if isinstance(block, gr.Checkbox) and block.visible]
    assert len(boxes) == 2
    assert all(box.value is False and box.label == consent.STATEMENT for box in boxes)


def test_wrong_inputs_are_one_clear_line(client: Client, pictures: list[str], tmp_path: Path) -> None:
    Image.new("RGB", (200, 200), "grey").save(tmp_path / "wall.png")
    (tmp_path / "letter.png").write_text("Dear all,")
    Image.new("1", (6000, 5000)).save(tmp_path / "huge.png")
    good = pictures[0]
    cases: list[tuple[str, list[str], str, dict[str, Any]]] = [
        (r"no face found in wall\.png", [good], str(tmp_path / "wall.png"), {}),
        (r"letter\.png", [good], str(tmp_path / "letter.png"), {}),
        (r"huge\.png", [good], str(tmp_path / "huge.png"), {}),
        ("no source", [], good, {"source": None}),
        ("has no face 3", [good], good, {"faces": "3=0"}),
        ("mapped to source 5, which was not given; there is 0", [good], good, {"faces": "0=5"}),
        ("faces must be pairs", [good], good, {"faces": "left=0"}),
        ("faces must be pairs", [good], good, {"faces": [1, 2]}),
        ("unknown engine 'best'", [good], good, {"engine": "best"}),
        ("likeness is 7", [good], good, {"likeness": 7}),
        ("shape is 'wide'", [good], good, {"shape": "wide"}),
    ]
    for message, sources, target, more in cases:
        with pytest.raises(Exception, match=message) as caught:
            swap(client, sources, target, **more)
        said = str(caught.value)
        assert "\n" not in said
        assert "Traceback" not in said
        assert str(files.folder()) not in said, "a path of the server in a message"


def test_a_file_that_is_too_large_is_refused_while_it_comes(page: gr.Blocks) -> None:
    upload = f"{page.local_url}gradio_api/upload"
    large = bytes(limits.MAX_BYTES + 1)
    assert httpx.post(upload, files={"files": ("large.png", large)}).status_code == 413
    many = [("files", (f"{n}.png", large)) for n in range(limits.MAX_UPLOAD // len(large) + 1)]
    assert httpx.post(upload, files=many).status_code == 413
    (files.folder() / "large.png").write_bytes(large)
    with pytest.raises(ReliableSwapError, match=r"me\.png has 20\.0 MB, and a picture may have 20"):
        files.read_upload(as_file(str(files.folder() / "large.png")), "target photo")


def test_eight_clients_at_once_each_get_their_own_answer(
    page: gr.Blocks, pictures: list[str], tmp_path: Path
) -> None:
    targets = []
    for number in range(8):
        path = tmp_path / f"target-{number}.png"
        side = 200 + 8 * number
        Image.open(pictures[number % 4]).resize((side, side)).save(path)
        targets.append(path)

    pipe = ReliableSwapPipeline.bundled()

    def one(number: int) -> tuple[np.ndarray, dict]:
        path, report = swap(connect(page), [pictures[(number + 1) % 4]], str(targets[number]))
        return pixels(path), report

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(8)))
    for number, (result, report) in enumerate(answers):
        assert report["target"] == f"target-{number}.png"
        assert report["faces"][0]["source"] == f"{(number + 1) % 4 + 1}.png"
        alone = pipe(pictures[(number + 1) % 4], str(targets[number])).pictures[0].pixels
        assert np.array_equal(result, consent.with_note(Picture(alone)).pixels)


def test_the_triplets_end_in_a_real_photo(client: Client, pictures: list[str]) -> None:
    a, b = (handle_file(picture) for picture in pictures[:2])
    answer = client.predict(a=a, b=b, agreed=True, api_name="/triplets")
    made = {entry["caption"].split(":")[0]: entry["image"] for entry in answer}
    assert list(made) == ["a", "b", "reshaped", "reenacted", "recoloured", "ab", "ba", "network"]
    for name, path in made.items():
        assert (read_mark(path) is None) == (name in ("a", "b")), "AI made all but the two photos"
    ab, ba, one, two = (pixels(made[name]).astype(int) for name in ("ab", "ba", "a", "b"))
    middle = slice(96, 200), slice(80, 176)
    assert np.abs(ab - one)[:40].mean() < np.abs(ab - two)[:40].mean(), "C_ab keeps the surroundings of a"
    assert np.abs(ba - two)[:40].mean() < np.abs(ba - one)[:40].mean()
    assert np.abs(ab - one)[middle].mean() > 5
    back = pixels(made["network"]).astype(int)
    assert np.abs(back - one)[middle].mean() < np.abs(ab - one)[middle].mean(), (
        "the network finds the way back"
    )


def test_a_result_can_be_checked(client: Client, pictures: list[str], tmp_path: Path) -> None:
    path, _ = swap(client, pictures[:1], pictures[1])
    marks = client.predict(file=handle_file(path), api_name="/verify")
    assert marks["made_here"]
    assert marks["details"]["consent"] == consent.STATEMENT
    plain = client.predict(file=handle_file(pictures[0]), api_name="/verify")
    assert plain == {"file": "1.png", "marked": False, "ai_made": False, "made_here": False}
    (tmp_path / "letter.png").write_text("Dear all,")
    with pytest.raises(Exception, match=r"letter\.png") as caught:
        client.predict(file=handle_file(str(tmp_path / "letter.png")), api_name="/verify")
    assert str(files.folder()) not in str(caught.value)


def test_every_endpoint_is_documented(client: Client) -> None:
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert set(endpoints) == {"/swap", "/faces", "/triplets", "/verify"}
    types = {one["parameter_name"]: one["python_type"]["type"] for one in endpoints["/swap"]["parameters"]}
    assert types["source"] == types["source_5"] == "filepath"
    assert types["target"] == "filepath"
    assert types["agreed"] == "bool"
    assert types["likeness"] == "float"
    for endpoint in endpoints.values():
        assert len(endpoint["description"]) > 20


def ask(page: gr.Blocks, endpoint: str, *data: Any) -> httpx.Response:
    """A call as any program could send it, without the client's good manners."""
    url = f"{page.local_url}gradio_api/call/{endpoint}"
    answer = httpx.post(url, json={"data": list(data)})
    if answer.status_code != 200:
        return answer
    return httpx.get(f"{url}/{answer.json()['event_id']}", timeout=30)


def as_file(path: str) -> dict[str, Any]:
    return {"path": path, "orig_name": "me.png", "meta": {"_type": "gradio.FileData"}}


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


def test_neural_is_offered_only_with_a_generator(pictures: list[str]) -> None:
    pipe = ReliableSwapPipeline.bundled()
    bare = Worker(ReliableSwapPipeline(pipe.detector, pipe.landmarks))
    assert bare.engines == ["auto", "blend"]
    assert all(plate.picture != "network" for row in figure(bare).values() for plate in row)
    with pytest.raises(ReliableSwapError, match="needs a generator"):
        bare.swap(
            {0: read_picture(pictures[0])}, read_picture(pictures[1]), {0: 0}, "neural", BlendSettings()
        )
    worker = Worker(pipe)
    assert worker.engines == ["auto", "blend", "neural"]
    assert [plate.picture for plate in list(figure(worker).values())[-1]][-2:] == ["a", "network"]
    triplet = worker.triplet(*(read_picture(picture) for picture in pictures[:2]))
    assert triplet.network is not None
    assert triplet.network.shape == triplet.a.shape
    assert not np.array_equal(triplet.network, triplet.ab)


def test_the_mcp_tools_say_what_they_take(page: gr.Blocks) -> None:
    pytest.importorskip("mcp")
    tools = {tool["name"]: tool for tool in httpx.get(f"{page.local_url}gradio_api/mcp/schema").json()}
    assert set(tools) == {"swap", "faces", "triplets", "verify"}
    schema = tools["swap"]["inputSchema"]["properties"]
    assert list(schema)[:8] == [
        "source",
        "target",
        "agreed",
        "faces",
        "engine",
        "likeness",
        "shape",
        "detail",
    ]
    assert set(tools["swap"]["inputSchema"]["required"]) == {"source", "target", "agreed"}
    for name, about in schema.items():
        assert len(about.get("description", "")) > 15, f"{name} is not explained"
        assert about["type"] in ("string", "boolean", "number"), name
    assert "0=1, 2=0" in schema["faces"]["description"]


def test_an_agent_can_swap(page: gr.Blocks, pictures: list[str]) -> None:
    mcp = pytest.importorskip("mcp")
    from mcp.client.streamable_http import streamable_http_client

    def inline(path: str) -> str:
        return "data:image/png;base64," + base64.b64encode(Path(path).read_bytes()).decode()

    async def call(agreed: bool) -> Any:
        address = f"{page.local_url}gradio_api/mcp/"
        async with (
            streamable_http_client(address) as (read, write, _),
            mcp.ClientSession(read, write) as session,
        ):
            await session.initialize()
            given = {"source": inline(pictures[0]), "target": inline(pictures[1]), "agreed": agreed}
            return await session.call_tool("swap", given)

    refused = anyio.run(call, False)
    assert refused.isError
    assert "confirm that the people shown agreed" in refused.content[0].text
    answer = anyio.run(call, True)
    assert not answer.isError
    said = "".join(content.text for content in answer.content if content.type == "text")
    assert "swapped.png" in said
    assert "Made by AI" in said


def test_a_lent_gpu_is_used_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import reload

    from reliableswap.space import device

    def job() -> None: ...

    assert device.on_gpu(job) is job
    lender = ModuleType("spaces")
    lent: list[Any] = []
    lender.GPU = lambda function: lent.append(function) or function  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "spaces", lender)
    reload(device)
    try:
        device.on_gpu(job)
        assert lent == [job]
    finally:
        monkeypatch.delitem(sys.modules, "spaces")
        reload(device)
    assert device.on_gpu(job) is job


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 400), (400, 5), (64, 64), (900, 1600)])
def test_the_note_fits_any_picture(height: int, width: int) -> None:
    grey = np.full((height, width, 3), 128, np.uint8)
    clear = np.zeros((height, width), np.uint8)
    made = consent.with_note(Picture(grey, clear))
    noted = made.pixels
    assert (clear == 0).all()
    assert (made.alpha[(noted != grey).any(2)] == 255).all()  # transparency hides no letter
    assert noted.shape == grey.shape
    assert (grey == 128).all()
    assert (noted != grey).any()
    if min(height, width) > 300:
        assert np.array_equal(noted[: height // 2], grey[: height // 2])
        assert (noted[-60:] > 200).any()  # the letters are light


def test_names_from_clients_are_text_not_markup() -> None:
    report = SwapReport("a.png", "blend", "cpu", "bundled", 0.5)
    report.faces = [FaceReport(0, (0, 0, 9, 9), 0.9, True, "<img src=x onerror=alert(1)>.png", "blend")]
    assert "<img" not in report_html(report)
    report.faces[0].identity_before, report.faces[0].identity_after = 0.1, 0.62
    assert "0.62" in report_html(report)


def test_the_mapping_follows_the_sources() -> None:
    alone = [ALONE] * 3
    assert assigned(0, alone) == alone
    assert assigned(1, alone) == [0, ALONE, ALONE]
    assert assigned(2, [ALONE, 1, ALONE]) == [ALONE, 1, ALONE]
    assert assigned(1, [1, 0, ALONE]) == [ALONE, 0, ALONE], "a source that is gone leaves its face alone"
    assert parse_faces(" ") == {0: 0}
    assert parse_faces("2=1,0 = 3") == {2: 1, 0: 3}
    assert parse_faces({2: 1}) == {2: 1}
    gallery = [{"image": {"path": f"/{n}.png"}, "caption": None} for n in range(3)]
    assert captioned(gallery) == [("/0.png", "Source A"), ("/1.png", "Source B"), ("/2.png", "Source C")]


def test_the_cards_show_the_faces_and_go_with_them(couple: str) -> None:
    worker = Worker()
    target = files.publish(read_picture(couple), "couple.png", ai_made=False)
    gallery = [{"image": {"path": "x"}}, {"image": {"path": "y"}}]
    said, *rest = show_faces(worker, as_file(target), gallery)
    cards, crops, choices = (rest[i * limits.MAX_FACES : (i + 1) * limits.MAX_FACES] for i in range(3))
    assert said == "2 faces found, the largest first."
    assert [card.visible for card in cards] == [True, True] + [False] * (limits.MAX_FACES - 2)
    assert crops[0].shape == crops[1].shape
    assert [choice.value for choice in choices][:3] == [0, 1, ALONE]

    wall = files.publish(Picture(np.full((99, 99, 3), 128, np.uint8)), "wall.png", ai_made=False)
    said, *rest = show_faces(worker, as_file(wall), gallery)
    assert said.startswith("no face found in me.png")
    assert not any(card.visible for card in rest[: limits.MAX_FACES])


def test_other_peoples_marks_are_told_apart(client: Client, pictures: list[str], tmp_path: Path) -> None:
    ours = tmp_path / "ours.jpg"
    write_picture(read_picture(pictures[0]), ours)
    theirs = tmp_path / "theirs.jpg"
    theirs.write_bytes(
        ours.read_bytes().replace(b"<xmp:CreatorTool>ReliableSwap", b"<xmp:CreatorTool>OtherSwapper"[:29])
    )
    marks = client.predict(file=handle_file(str(theirs)), api_name="/verify")
    assert marks["ai_made"]
    assert not marks["made_here"]
    assert "with other software" in marks_html(marks)
    assert "made by AI, with ReliableSwap" in marks_html(read_marks(as_file(keep(ours))))
    assert "proves nothing" in marks_html(read_marks(as_file(keep(Path(pictures[0])))))


def keep(picture: Path) -> str:
    """The path of a copy where uploads lie."""
    place = files.folder() / picture.name
    place.write_bytes(picture.read_bytes())
    return str(place)
