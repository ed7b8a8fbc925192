"""Videos: frames by number, and the figures of videos only, identity variance and flicker."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.evaluation_people import examiner

from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation.measure import evaluate
from reliableswap.evaluation.methods import FolderMethod, SourcePhoto, UnchangedTarget
from reliableswap.evaluation.protocols.pairs import make_pairs
from reliableswap.evaluation.protocols.shots import Pair
from reliableswap.evaluation.protocols.video import frame_count, read_frame, spread_frames

VIDEOS = "original_sequences/youtube/c23/videos"


@pytest.fixture(scope="module")
def ffpp(portraits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos of fourteen frames in the layout of FaceForensics++, of heads that drift."""
    av = pytest.importorskip("av")
    root = tmp_path_factory.mktemp("ffpp")
    folder = root / VIDEOS
    folder.mkdir(parents=True)
    (root / "splits").mkdir()
    (root / "splits/test.json").write_text('[["000", "003"]]')
    for name, number in (("000", 1), ("003", 4)):
        image = cv2.imread(str(portraits / f"P{number:03d}/studio_portrait.png"))
        side = min(image.shape[:2]) // 16 * 16
        with av.open(str(folder / f"{name}.mp4"), "w") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width = stream.height = side
            stream.bit_rate = 4_000_000
            for step in range(14):
                frame = np.ascontiguousarray(np.roll(image, step, axis=1)[:side, :side, ::-1])
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
    return root


@pytest.fixture(scope="module")
def pairs(ffpp: Path) -> list[Pair]:
    return make_pairs("ffpp", ffpp, 1)


def test_frames_are_read_by_number_in_any_order(ffpp: Path) -> None:
    path = ffpp / VIDEOS / "000.mp4"
    in_order = [read_frame(path, i) for i in range(frame_count(path))]
    assert len(in_order) == 14
    read_frame.cache_clear()
    for index in (9, 2, 13, 0):
        assert np.array_equal(read_frame(path, index), in_order[index])


def test_a_frame_after_the_end_is_refused(ffpp: Path) -> None:
    with pytest.raises(ReliableSwapError, match="no frame 14; its frames are 0 to 13"):
        read_frame(ffpp / VIDEOS / "000.mp4", 14)


def test_chosen_frames_have_neighbours() -> None:
    chosen = spread_frames(14, 10)
    assert (chosen[0], chosen[-1]) == (1, 12)
    with pytest.raises(ReliableSwapError, match="too short"):
        spread_frames(11, 10)


def test_a_video_gives_ten_pairs(pairs: list[Pair]) -> None:
    assert len(pairs) == 10
    assert {pair.clip for pair in pairs} == {"000_003"}


@pytest.mark.slow
def test_videos_get_identity_variance_and_flicker(pairs: list[Pair]) -> None:
    found = evaluate([UnchangedTarget(), SourcePhoto()], pairs[:4], examiner())
    unchanged, still = ({k: e.value for k, e in m.estimates.items()} for m in found.methods)
    assert unchanged["flicker"] == 0
    assert unchanged["identity_variance"] > 0
    assert still["identity_variance"] == pytest.approx(0, abs=1e-9)  # one frame, four times
    # The photo stands still while the target's face drifts.
    assert still["flicker"] > 1
    assert (unchanged["unswapped"], still["unswapped"]) == (1, 0)
    assert still["top1"] == 1


def test_another_tools_video_is_found(ffpp: Path, pairs: list[Pair], tmp_path: Path) -> None:
    (tmp_path / "000_003.mp4").write_bytes((ffpp / VIDEOS / "000.mp4").read_bytes())
    videos = FolderMethod("videos", tmp_path)
    videos.check(pairs)
    assert np.array_equal(videos.result(pairs[4], pairs[4].target).pixels, pairs[4].target.read())


def test_single_frames_take_precedence_over_a_video(ffpp: Path, pairs: list[Pair], tmp_path: Path) -> None:
    (tmp_path / "000_003.mp4").write_bytes((ffpp / VIDEOS / "000.mp4").read_bytes())
    (tmp_path / "000_003").mkdir()
    still = np.full((16, 16, 3), 7, np.uint8)
    cv2.imwrite(str(tmp_path / "000_003" / f"{pairs[4].target.frame:05d}.png"), still)
    method = FolderMethod("videos", tmp_path)
    assert np.array_equal(method.result(pairs[4], pairs[4].target).pixels, still)


@pytest.mark.parametrize("damage", ["no video", "cut off"])
def test_a_damaged_video_is_a_failure(ffpp: Path, pairs: list[Pair], tmp_path: Path, damage: str) -> None:
    whole = (ffpp / VIDEOS / "000.mp4").read_bytes()
    content = b"no video" if damage == "no video" else whole[: len(whole) // 2]
    (tmp_path / "000_003.mp4").write_bytes(content)
    found = evaluate([FolderMethod("broken", tmp_path)], pairs[:1], examiner()).methods[0]
    assert found.estimates["failed"].value == 1
    assert "000_003.mp4" in found.pairs[0].failure
