"""The Space's API: correct answers, consent, clear errors, documentation."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from support.space_page import connect, pixels, swap

from reliableswap import ReliableSwapPipeline
from reliableswap.media import read_picture, write_picture
from reliableswap.provenance import read_mark
from reliableswap.provenance.label import add_label
from reliableswap.space import consent, files


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
    assert np.abs(after[:30].astype(int) - before[:30]).mean() < 2  # the watermark
    assert (after[-8:, -40:] != before[-8:, -40:]).any()  # the note in the corner


@pytest.mark.slow
def test_each_face_gets_the_source_it_is_mapped_to(client: Client, pictures: list[str], couple: str) -> None:
    _, faces = client.predict(target=handle_file(couple), api_name="/faces")
    assert [face["index"] for face in faces] == [0, 1]
    assert faces[0]["box"][0] > 240 > faces[1]["box"][2]  # the largest first, which is on the right

    path, report = swap(client, pictures[:2], couple, faces="0=1, 1=0")
    assert [face["source"] for face in report["faces"]] == ["2.png", "1.png"]
    only, report = swap(client, pictures[:2], couple, faces="1=1")
    assert [face["swapped"] for face in report["faces"]] == [False, True]
    # Only the watermark differs.
    assert np.abs(pixels(only)[:280, 260:].astype(int) - pixels(couple)[:280, 260:]).mean() < 2
    assert not np.array_equal(pixels(path)[:280, 260:], pixels(couple)[:280, 260:])


def test_likeness_zero_changes_nothing(client: Client, pictures: list[str]) -> None:
    nothing, _ = swap(client, pictures[:1], pictures[1], likeness=0.0)
    difference = np.abs(pixels(nothing)[:-20].astype(int) - pixels(pictures[1])[:-20])  # above the note
    assert difference.mean() < 2
    assert difference.max() < 32


@pytest.mark.slow
@pytest.mark.parametrize("name", ["shape", "expression"])
def test_strengths_change_the_result(client: Client, pictures: list[str], name: str) -> None:
    none, full = (swap(client, pictures[:1], pictures[1], **{name: value})[0] for value in (0.0, 1.0))
    assert not np.array_equal(pixels(none), pixels(full))


@pytest.mark.slow
def test_parts_and_age_change_the_result_and_are_reported(client: Client, pictures: list[str]) -> None:
    plain, _ = swap(client, pictures[:1], pictures[1])
    path, report = swap(client, pictures[:1], pictures[1], attributes="brows=target, glasses=target", age=12)
    (face,) = report["faces"]
    assert face["attributes"] == {"brows": "target"}  # glasses are the target's anyway
    assert face["age"] == 12
    assert 25 < face["apparent_age"] < 90
    assert np.abs(pixels(path).astype(int) - pixels(plain)).mean() > 0.2


@pytest.mark.parametrize("agreed", [False, None, "true", 1, "false"])
def test_without_consent_nothing_is_made(client: Client, pictures: list[str], agreed: Any) -> None:
    with pytest.raises(Exception, match="confirm that the people shown agreed"):
        swap(client, pictures[:1], pictures[1], agreed)
    a, b = (handle_file(picture) for picture in pictures[:2])
    with pytest.raises(Exception, match="confirm that the people shown agreed"):
        client.predict(a=a, b=b, agreed=agreed, api_name="/triplets")


def test_consent_has_no_default(client: Client, pictures: list[str]) -> None:
    parameters = client.view_api(return_format="dict")["named_endpoints"]["/swap"]["parameters"]
    (agreed,) = [one for one in parameters if one["parameter_name"] == "agreed"]
    assert not agreed["parameter_has_default"]
    with pytest.raises(TypeError, match="agreed"):
        client.predict(source=handle_file(pictures[0]), target=handle_file(pictures[1]), api_name="/swap")


@pytest.fixture(scope="module")
def bad_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    Image.new("RGB", (200, 200), "grey").save(folder / "wall.png")
    (folder / "letter.png").write_text("Dear all,")
    Image.new("1", (6000, 5000)).save(folder / "huge.png")
    return folder


@pytest.mark.parametrize("name", ["wall.png", "letter.png", "huge.png"])
def test_a_bad_target_is_one_clear_line(
    client: Client, pictures: list[str], bad_pictures: Path, name: str
) -> None:
    with pytest.raises(Exception, match=name) as caught:
        swap(client, pictures[:1], str(bad_pictures / name))
    assert_clear(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"source": None}, "no source"),
        ({"faces": "3=0"}, "has no face 3"),
        ({"faces": "0=5"}, "mapped to source 5, which was not given; choose from 0"),
        ({"faces": "left=0"}, "faces must be pairs"),
        ({"faces": [1, 2]}, "faces must be pairs"),
        ({"engine": "best"}, "unknown engine 'best'"),
        ({"likeness": 7}, "likeness is 7"),
        ({"glasses": -1}, "glasses is -1"),
        ({"attributes": "nose=target"}, "unknown attribute nose"),
        ({"attributes": "brows"}, "attributes must be pairs"),
        ({"attributes": "brows=both"}, "attribute brows is 'both'"),
        ({"age": 40}, "age is 40; choose a number of years from -15 to 15"),
        ({"shape": "wide"}, "shape is 'wide'"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_one_clear_line(
    client: Client, pictures: list[str], given: dict[str, Any], message: str
) -> None:
    sources = [] if "source" in given else pictures[:1]
    with pytest.raises(Exception, match=message) as caught:
        swap(client, sources, pictures[0], **given)
    assert_clear(caught.value)


def assert_clear(error: BaseException) -> None:
    """One line, without a traceback and without a path of the server."""
    said = str(error)
    assert "\n" not in said
    assert "Traceback" not in said
    assert str(files.shared_storage().folder) not in said


@pytest.mark.slow
def test_concurrent_clients_each_get_their_own_answer(
    page: gr.Blocks, pipe: ReliableSwapPipeline, pictures: list[str], tmp_path: Path
) -> None:
    targets = []
    for number in range(6):
        targets.append(tmp_path / f"target-{number}.png")
        side = 200 + 8 * number
        Image.open(pictures[number % 4]).resize((side, side)).save(targets[-1])
    clients = [connect(page) for _ in range(3)]

    def ask_for(number: int) -> tuple[np.ndarray, dict]:
        client, source = clients[number % 3], pictures[(number + 1) % 4]
        path, report = swap(client, [source], str(targets[number]), engine="blend")
        return pixels(path), report

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask_for, range(6)))
    for number, (result, report) in enumerate(answers):
        assert report["target"] == f"target-{number}.png"
        assert report["faces"][0]["source"] == f"{(number + 1) % 4 + 1}.png"
        alone = pipe(pictures[(number + 1) % 4], str(targets[number]), engine="blend").pictures[0]
        assert np.abs(result.astype(int) - add_label(alone).pixels).mean() < 2  # the watermark


@pytest.mark.slow
def test_the_triplets_end_in_a_real_photo(client: Client, pictures: list[str]) -> None:
    a, b = (handle_file(picture) for picture in pictures[:2])
    answer = client.predict(a=a, b=b, agreed=True, api_name="/triplets")
    made = {entry["caption"].split(":")[0]: entry["image"] for entry in answer}
    assert list(made) == ["a", "b", "reshaped", "reenacted", "recoloured", "ab", "ba", "source", "network"]
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


def test_a_result_is_recognised(client: Client, pictures: list[str]) -> None:
    path, _ = swap(client, pictures[:1], pictures[1], engine="blend")
    answer = client.predict(file=handle_file(path), api_name="/verify")
    assert answer["made_here"]
    assert answer["details"]["consent"] == consent.STATEMENT
    assert answer["details"]["engine"] == "blend"
    assert answer["c2pa"]["state"] == "valid"
    assert answer["c2pa"]["statement"]["consent"]["statement"] == consent.STATEMENT
    assert answer["watermark"]["belongs_to_metadata"]


def test_a_picture_without_a_mark(client: Client, pictures: list[str]) -> None:
    answer = client.predict(file=handle_file(pictures[0]), api_name="/verify")
    assert (answer["file"], answer["marked"], answer["ai_made"], answer["made_here"]) == (
        "1.png",
        *3 * [False],
    )
    assert answer["verdict"] == "No mark was found."


def test_a_mark_of_other_software(client: Client, pictures: list[str], tmp_path: Path) -> None:
    content = write_picture(read_picture(pictures[0]), tmp_path / "ours.jpg").read_bytes()
    theirs = tmp_path / "theirs.jpg"
    theirs.write_bytes(
        content.replace(b"<xmp:CreatorTool>ReliableSwap", b"<xmp:CreatorTool>OtherSwapper"[:29])
    )
    answer = client.predict(file=handle_file(str(theirs)), api_name="/verify")
    assert (answer["ai_made"], answer["made_here"]) == (True, False)


def test_a_file_that_is_no_picture_is_one_clear_line(client: Client, bad_pictures: Path) -> None:
    with pytest.raises(Exception, match=r"letter\.png") as caught:
        client.predict(file=handle_file(str(bad_pictures / "letter.png")), api_name="/verify")
    assert_clear(caught.value)


def test_every_endpoint_is_documented(client: Client) -> None:
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert set(endpoints) == {"/swap", "/faces", "/video", "/people", "/triplets", "/verify"}
    types = {one["parameter_name"]: one["python_type"]["type"] for one in endpoints["/swap"]["parameters"]}
    assert types["source"] == types["source_5"] == "filepath"
    assert types["target"] == "filepath"
    assert types["agreed"] == "bool"
    assert types["likeness"] == "float"
    for endpoint in endpoints.values():
        assert len(endpoint["description"]) > 20
