"""Passes, tiles, turns and merging, on a detector whose answers are known; meshes in photo pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from reliableswap.faces.detect import SearchSettings, add_meshes, find_faces, find_large_face, merge, overlaps
from reliableswap.faces.face import Detection


class BrightBlobDetector:
    """A FaceDetector stub that takes bright squares for faces, so that the truth is known to the pixel.

    A square's five points are its corners and its centre. Only upright squares are detected: those with their dark
    dot in the upper half.
    """

    def above(self, image: np.ndarray, logit: float) -> np.ndarray:
        bright = (image[0].min(0) > 0.9).astype(np.uint8)
        answers = []
        for x, y, w, h, area in cv2.connectedComponentsWithStats(bright)[2][1:]:
            inside = image[0, 0, y : y + h, x : x + w]
            dots = np.argwhere(inside < -0.5)
            if (
                area < 16
                or not len(dots)
                or dots[:, 0].mean() > h * 0.45
                or abs(dots[:, 1].mean() - w / 2) > w / 4
            ):
                continue
            x0, y0, x1, y1 = x - 0.5, y - 0.5, x + w - 0.5, y + h - 0.5
            middle = ((x0 + x1) / 2, (y0 + y1) / 2)
            answers.append([4.0, *middle, np.log(w), np.log(h), x0, y0, x1, y0, *middle, x0, y1, x1, y1])
        assert logit < 4.0
        return np.array(answers, np.float32).reshape(-1, 15)


def photo_with(size: tuple[int, int], squares: list[tuple[int, int, int]]) -> np.ndarray:
    """(H,W,3) grey, with white squares (x, y, side) that have a black dot at the top."""
    width, height = size
    image = np.full((height, width, 3), 90, np.uint8)
    for x, y, side in squares:
        image[y : y + side, x : x + side] = 255
        dot = max(2, side // 6)
        image[
            y + side // 6 : y + side // 6 + dot, x + side // 2 - dot // 2 : x + side // 2 + (dot + 1) // 2
        ] = 0
    return image


def find(image: np.ndarray, **settings: object) -> list[Detection]:
    return find_faces(BrightBlobDetector(), image, SearchSettings(**settings))


@pytest.mark.parametrize("size", [(60, 50), (640, 480), (1000, 1300), (3000, 2000)])
def test_a_face_is_found_where_it_is_at_any_photo_size(size: tuple[int, int]) -> None:
    side = size[0] // 3
    x, y = size[0] // 4, size[1] // 5
    (face,) = find(photo_with(size, [(x, y, side)]))
    expected = np.array([x - 0.5, y - 0.5, x + side - 0.5, y + side - 0.5])
    assert np.abs(face.box - expected).max() < max(1.0, 0.02 * side)
    assert np.abs(face.points5[0] - expected[:2]).max() < max(1.0, 0.02 * side)


def test_small_faces_of_large_photos_are_found_in_tiles_only() -> None:
    squares = [(100, 80, 20), (1500, 700, 24), (1860, 1400, 22), (640, 640, 20)]
    image = photo_with((2000, 1500), squares)
    found = find(image)
    assert len(found) == 4
    for x, y, side in squares:
        assert min(np.abs(face.box - (x, y, x + side, y + side)).max() for face in found) < 2.5


class ShortSighted(BrightBlobDetector):
    """Misses faces larger than 200 px, about as the real detector does."""

    def above(self, image: np.ndarray, logit: float) -> np.ndarray:
        answers = super().above(image, logit)
        return answers[answers[:, 3] < np.log(200)]


@pytest.mark.parametrize("side", [100, 560])
def test_a_face_that_fills_the_photo_is_found_in_a_small_copy(side: int) -> None:
    photo = photo_with((640, 640), [(40, 40, side)])
    (found,) = find_faces(ShortSighted(), photo, SearchSettings())
    np.testing.assert_allclose(found.box, np.array([40, 40, 40 + side, 40 + side]) - 0.5, atol=8)


def test_faces_come_largest_first() -> None:
    image = photo_with((640, 480), [(20, 20, 40), (200, 100, 120), (500, 300, 70)])
    assert [round(face.size / 10) for face in find(image)] == [12, 7, 4]


def test_small_and_surplus_faces_can_be_left_out() -> None:
    image = photo_with((640, 480), [(20, 20, 40), (200, 100, 120), (500, 300, 70)])
    assert len(find(image, min_size=60)) == 2
    assert len(find(image, max_faces=1)) == 1


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_turned_photo_is_found_by_turning_back_and_its_points_are_the_photos(turn: int) -> None:
    upright = photo_with((640, 480), [(100, 60, 120)])
    (straight,) = find(upright)
    turned = np.ascontiguousarray(np.rot90(upright, turn))
    (face,) = find(turned)
    assert turned[round(face.points5[2, 1]), round(face.points5[2, 0])].min() == 255
    # The first point is the square's own upper left corner, wherever the turn has carried it.
    first = straight.points5[0]
    height, width = upright.shape[:2]
    carried = {
        1: (first[1], width - 1 - first[0]),
        2: (width - 1 - first[0], height - 1 - first[1]),
        3: (height - 1 - first[1], first[0]),
    }[turn]
    assert np.abs(face.points5[0] - carried).max() < 2
    assert face.box[2] > face.box[0]
    assert face.box[3] > face.box[1]
    assert not find(turned, turns=())


def test_merge_keeps_one_answer_a_face_and_averages_those_that_agree() -> None:
    def row(x: float, score: float) -> np.ndarray:
        box = [x, 10, x + 40, 60]
        return np.array([*box, *range(10), score], float)

    rows = np.stack([row(10, 0.9), row(12, 0.9), row(200, 0.6), row(30, 0.55)])
    merged = merge(rows, 0.3)
    assert len(merged) == 2
    assert merged[0, 0] == pytest.approx(11)
    assert merged[0, 14] == 0.9
    assert merge(np.zeros((0, 15)), 0.4).shape == (0, 15)


def test_a_box_inside_a_larger_one_counts_as_overlap() -> None:
    assert overlaps(np.array([0, 0, 100, 100.0]), np.array([[40, 40, 60, 60, 0.0]]))[0] == pytest.approx(0.5)
    assert overlaps(np.array([0, 0, 10, 10.0]), np.array([[20, 20, 30, 30, 0.0]]))[0] == 0


class FixedMesh:
    """A MeshNet that answers one known mesh, so the way from crop to photo can be checked."""

    config = {"size": 128, "crop_scale": 3.4}  # noqa: RUF012

    def __init__(self) -> None:
        self.mesh = np.random.default_rng(0).random((468, 3), np.float32) * 127

    def __call__(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert crops.shape[1:] == (3, 128, 128)
        return np.stack([self.mesh] * len(crops)), np.zeros(len(crops), np.float32)


def test_meshes_come_back_in_photo_pixels() -> None:
    # Eyes 40 apart and the mouth 42.5 below: the crop is 144.5 px wide, its centre between eyes and mouth.
    points = np.array([[80, 100], [120, 100], [100, 120], [90, 142.5], [110, 142.5]], np.float32)
    face = Detection(np.array([60, 60, 140, 160], np.float32), points, 0.9)
    net = FixedMesh()
    (found,) = add_meshes(net, np.zeros((240, 240, 3), np.uint8), [face])
    scale = 144.5 / 128
    expected = (net.mesh - (63.5, 63.5, 0)) * scale + (100, 121.25, 0)
    assert np.allclose(found.mesh, expected, atol=0.05)
    assert found.presence == pytest.approx(0.5)
    assert add_meshes(net, np.zeros((9, 9, 3), np.uint8), []) == []


class FindsFixedFaces:
    """Finds the same (logit, box) faces in a 640x480 photo at any scale, and one of logit `closely` in a close-up."""

    def __init__(self, faces: list[tuple[float, tuple[int, int, int, int]]], closely: float) -> None:
        self.faces, self.closely = faces, closely

    def above(self, image: np.ndarray, logit: float) -> np.ndarray:
        width = image.shape[-1]
        faces, scale = self.faces, width / 640
        if width == image.shape[-2]:  # a close-up is square
            faces, scale = [(self.closely, (60, 60, 132, 132))], 1.0
        answers = []
        for confidence, (x0, y0, x1, y1) in faces:
            x, y, w, h = (scale * n for n in ((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0))
            answers.append([confidence, x, y, np.log(w), np.log(h), *([x, y] * 5)])
        return np.array(answers, np.float32)

    def finds(self, **settings: object) -> int:
        image = np.zeros((480, 640, 3), np.uint8)
        return len(find_faces(self, image, SearchSettings(turns=(), **settings)))


SURE, BUTTON, CHIN = (4.0, (100, 100, 300, 300)), (1.0, (400, 300, 430, 330)), (1.0, (120, 200, 280, 320))


@pytest.mark.parametrize(("closely", "expected"), [(3.0, 2), (0.5, 1)])
def test_next_to_a_confident_face_a_doubtful_one_is_verified_in_a_close_up(
    closely: float, expected: int
) -> None:
    detector = FindsFixedFaces([SURE, BUTTON], closely)
    assert detector.finds() == expected
    assert detector.finds(sure=0.0) == 2


def test_a_doubtful_face_that_is_a_part_of_a_sure_one_is_dropped() -> None:
    assert FindsFixedFaces([SURE, CHIN], 3.0).finds(overlap=0.9) == 1


@pytest.mark.parametrize(("closely", "expected"), [(0.5, 1), (-3.0, 0)])
def test_without_a_confident_face_the_largest_needs_only_a_modest_score(
    closely: float, expected: int
) -> None:
    assert FindsFixedFaces([BUTTON, (1.0, (100, 100, 160, 160))], closely).finds() == expected


class FindsPartsInLargeCopies:
    """Finds the `whole` face of a 640x480 photo in copies narrower than `below`, and its `parts` in larger ones.

    Each is a logit and a box in the photo's pixels.
    """

    def __init__(
        self, parts: list[tuple[float, tuple[int, ...]]], whole: tuple[float, tuple[int, ...]], below: int
    ) -> None:
        self.parts, self.whole, self.below = parts, [whole], below

    def above(self, image: np.ndarray, logit: float) -> np.ndarray:
        width = int((image[0, 0, 0] < -0.5).sum())  # without the grey padding
        answers = []
        for confidence, box in self.whole if width < self.below else self.parts:
            x0, y0, x1, y1 = (width / 640 * n for n in box)
            middle = ((x0 + x1) / 2, (y0 + y1) / 2)
            answers.append([confidence, *middle, np.log(x1 - x0), np.log(y1 - y0), *middle * 5])
        return np.array(answers, np.float32)

    def finds(self) -> list[Detection]:
        return find_faces(self, np.zeros((480, 640, 3), np.uint8), SearchSettings(turns=()))


EYE, OTHER_EYE, ROUGHLY = (1.0, (220, 160, 290, 220)), (1.0, (330, 160, 390, 220)), (4.0, (190, 90, 410, 390))


def test_a_face_found_only_in_parts_in_large_copies_is_found_whole_in_a_tiny_one() -> None:
    (face,) = FindsPartsInLargeCopies([EYE, OTHER_EYE], ROUGHLY, below=110).finds()
    assert face.size == pytest.approx(300, abs=10)


def test_a_tiny_copy_confirms_a_face_without_moving_it() -> None:
    (face,) = FindsPartsInLargeCopies(
        [(1.0, (200, 180, 400, 380))], (4.0, (195, 170, 410, 390)), below=110
    ).finds()
    assert np.abs(face.box - (200, 180, 400, 380)).max() < 2
    assert face.score > 0.95


def test_a_large_face_is_left_to_the_copies_in_which_it_is_small() -> None:
    """In the main pass, half of a large face may score higher than the whole."""
    half, whole = (5.0, (190, 150, 430, 390)), (3.0, (190, 40, 430, 390))
    (face,) = FindsPartsInLargeCopies([half], whole, below=260).finds()
    assert face.size == pytest.approx(350, abs=10)
    agreeing = (3.0, (170, 40, 410, 390))
    (face,) = FindsPartsInLargeCopies([agreeing], whole, below=260).finds()
    assert face.box[0] == pytest.approx(180, abs=4)  # the mean of both


def test_a_large_sure_face_is_found_in_a_small_copy_alone() -> None:
    detector, image = BrightBlobDetector(), photo_with((1000, 800), [(100, 80, 300), (700, 500, 100)])
    found = find_large_face(detector, image)
    assert found is not None
    expected = find(image)[0]
    assert np.abs(found.box - expected.box).max() < 4
    assert np.abs(found.points5 - expected.points5).max() < 4


@pytest.mark.parametrize(
    "settings", [SearchSettings(), SearchSettings(sure=0.99), SearchSettings(min_size=200)]
)
def test_small_and_doubtful_faces_are_left_to_the_whole_search(settings: SearchSettings) -> None:
    side = 190 if settings == SearchSettings() else 197  # a fifth of the longer side is 194
    image = photo_with((970, 800), [(100, 80, side - 4 if side == 190 else side)])
    assert find_large_face(BrightBlobDetector(), image, settings) is None
    assert find_large_face(BrightBlobDetector(), np.zeros((90, 90, 3), np.uint8)) is None


def test_each_size_of_a_photo_is_searched_once() -> None:
    class Noting(BrightBlobDetector):
        def __init__(self) -> None:
            self.sizes: list[int] = []

        def above(self, image: np.ndarray, logit: float) -> np.ndarray:
            self.sizes.append(image.shape[3])
            return super().above(image, logit)

    for side, sizes in ((250, [256]), (320, [320, 256]), (640, [640, 256])):
        detector = Noting()
        image = photo_with((side, side), [(side // 4, side // 4, side // 2)])
        (face,) = find_faces(detector, image)
        assert detector.sizes == sizes
        assert abs(face.size - side // 2) < 4
