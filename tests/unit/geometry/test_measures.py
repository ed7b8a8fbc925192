"""geometry.measures: pose, expression, gaze and openings of meshes with known values."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from support.evaluation_people import NAMES, analyser, mesh_of, turned
from support.people import person

from reliableswap.geometry import measures as geometry
from reliableswap.geometry.topology import topology


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("degrees", [10.0, -25.0, 0.001])
def test_a_turned_mesh_is_read_as_turned_by_that_angle(axis: int, degrees: float) -> None:
    mesh = mesh_of()
    other = turned(mesh * 1.7 + (30, -12, 5), degrees, axis)
    assert geometry.pose_error(mesh, other) == pytest.approx(abs(degrees), abs=0.01)


@pytest.mark.parametrize(("axis", "name"), [(1, 0), (0, 1), (2, 2)])
def test_yaw_pitch_and_roll_each_follow_their_own_axis(axis: int, name: int) -> None:
    canonical = topology().canonical
    angles = geometry.pose_of(turned(canonical, 20.0, axis))
    expected = [0.0, 0.0, 0.0]
    expected[name] = 20.0
    assert angles == pytest.approx(expected, abs=0.01)


def test_a_photo_turned_by_ten_degrees_is_read_as_ten() -> None:
    image = cv2.imread(str(person(1)), cv2.IMREAD_REDUCED_COLOR_4)[..., ::-1].copy()
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 10, 1.0)
    other = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    meshes = [analyser()(picture)[0].mesh for picture in (image, other)]
    assert geometry.pose_error(*meshes) == pytest.approx(10.0, abs=1.0)
    assert geometry.pose_of(meshes[1])[2] - geometry.pose_of(meshes[0])[2] == pytest.approx(-10.0, abs=1.0)


@pytest.mark.parametrize("name", NAMES)
def test_pose_and_scale_are_no_expression_and_no_shape(name: str) -> None:
    mesh = mesh_of(name)
    other = turned(turned(mesh * 0.4, 15, 1), -8, 2)
    assert geometry.expression_error(other, mesh) < 1e-4
    assert geometry.shape_distance(other, mesh) < 1e-4
    assert geometry.eye_openings(other) == pytest.approx(geometry.eye_openings(mesh), abs=1e-3)
    assert geometry.mouth_opening(other) == pytest.approx(geometry.mouth_opening(mesh), abs=1e-3)


def test_an_open_mouth_and_a_shut_eye_are_read_as_such() -> None:
    mesh = mesh_of()
    down = mesh[152] - mesh[10]
    opened = mesh.copy()
    lower = [14, 87, 317, 178, 402, 88, 318, 17, 84, 314, 16, 15, 152, 148, 377, 176, 400]
    opened[lower] += 0.08 * down
    shut = mesh.copy()
    for up, low, *_ in geometry._EYES:
        shut[up] = shut[low]
    assert geometry.mouth_opening(opened) > geometry.mouth_opening(mesh) + 0.2
    assert geometry.eye_openings(shut) == pytest.approx([0, 0], abs=1e-6)
    assert geometry.expression_error(opened, mesh) > geometry.expression_error(shut, mesh) > 0.002
    assert geometry.mouth_opening(shut) == pytest.approx(geometry.mouth_opening(mesh), abs=1e-3)


@pytest.mark.parametrize("across", [-0.15, 0.0, 0.15])
def test_gaze_is_where_the_iris_was_painted(across: float) -> None:
    mesh = mesh_of() * 0.5
    image = np.full((1100, 1100, 3), 230, np.uint8)
    mesh[:, :2] += np.array([550, 550]) - mesh[:, :2].mean(0)
    for _, _, left, right in geometry._EYES:
        side = mesh[right, :2] - mesh[left, :2]
        at = (mesh[left, :2] + mesh[right, :2]) / 2 + across * side
        cv2.circle(
            image, tuple(int(v) for v in np.rint(at)), int(0.12 * np.linalg.norm(side)), (40, 30, 20), -1
        )
    assert geometry.gaze_of(image, mesh)[0] == pytest.approx(across, abs=0.03)


def test_an_eye_of_two_pixels_has_no_gaze() -> None:
    image = np.zeros((50, 50, 3), np.uint8)
    assert np.isnan(geometry.gaze_of(image, mesh_of() * 0.01)).all()
