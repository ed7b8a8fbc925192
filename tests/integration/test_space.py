"""The Space through its API: right answers, consent, what it offers, and what agents are told."""

from __future__ import annotations

import base64
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import gradio as gr
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from support.space_page import as_file, connect, pixels, swap

from reliableswap import ReliableSwapPipeline
from reliableswap.errors import ReliableSwapError
from reliableswap.media import Picture, read_picture, write_picture
from reliableswap.pipelines.output import FaceReport, SwapReport
from reliableswap.provenance import read_mark
from reliableswap.space import consent, examples, files, limits
from reliableswap.space.app.making import figure
from reliableswap.space.app.photo import ALONE, assigned, captioned, show_faces
from reliableswap.space.handlers import marks_html, read_marks
from reliableswap.space.work import Worker, parse_faces, report_html


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
    as_made, _ = swap(client, pictures[:1], pictures[1], shape=0.0, expression=0.0)
    assert not np.array_equal(pixels(whole), pixels(as_made))


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
        ("gives one face two sources", [good, good], good, {"faces": "0=0, 0=1"}),
        ("likeness is 7", [good], good, {"likeness": 7}),
        ("glasses is -1", [good], good, {"glasses": -1}),
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
    larger = bytes(limits.MAX_RESULT_BYTES + 1)
    assert httpx.post(upload, files={"files": ("large.png", larger)}).status_code == 413
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


def test_first_visitors_at_once_all_get_the_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    portrait = examples._portrait

    def slowly(person: int, side: int) -> Image.Image:
        time.sleep(0.02)
        made.append(f"{person} at {side}")
        return portrait(person, side)

    monkeypatch.setattr(examples, "_portrait", slowly)
    for cached in (examples._folder, examples._thumbnail, examples._pictures):
        cached.cache_clear()
    with ThreadPoolExecutor(6) as pool:
        paths = list(pool.map(lambda _: examples.thumbnail(0), range(6)))
        whole = list(pool.map(lambda _: examples.pictures(0), range(6)))
    assert len(set(paths)) == 1
    assert Path(paths[0]).is_file()
    assert all(Path(path).is_file() for sources, target in whole for path in (*sources, target))
    assert len(made) == len(set(made)), "something was made twice"


def test_the_largest_result_can_be_checked_too() -> None:
    """Noise is what a PNG can't make smaller; a photo of 25 megapixels may come to more than a source may have."""
    side = 3000
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    path = Path(files.publish(Picture(noise), "swapped.png", ai_made=True))
    assert limits.MAX_BYTES < path.stat().st_size < limits.MAX_RESULT_BYTES
    assert read_marks(as_file(str(path)))["made_here"]
    assert limits.MAX_PIXELS * 4 <= limits.MAX_RESULT_BYTES
    assert limits.MAX_RESULT_BYTES <= limits.MAX_UPLOAD
    with pytest.raises(ReliableSwapError, match="a picture may have 20"):
        files.read_upload(as_file(str(path)), "source")
    path.unlink()


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


def test_neural_is_offered_only_with_a_generator(pictures: list[str]) -> None:
    pipe = ReliableSwapPipeline.bundled()
    bare = Worker(ReliableSwapPipeline(pipe.detector, pipe.landmarks))
    assert bare.engines == ["auto", "blend"]
    assert all(plate.picture != "network" for row in figure(bare).values() for plate in row)
    with pytest.raises(ReliableSwapError, match="needs a generator"):
        bare.swap({0: read_picture(pictures[0])}, read_picture(pictures[1]), {0: 0}, "neural", {})
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
    assert list(schema)[:10] == [
        "source",
        "target",
        "agreed",
        "faces",
        "engine",
        "likeness",
        "shape",
        "detail",
        "expression",
        "glasses",
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
