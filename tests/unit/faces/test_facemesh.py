"""MediaPipe's FaceMesh as an analyser's mesh network."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from support import onnx_files
from support.evaluation_people import analyser, mesh_of
from support.people import person

from reliableswap.errors import WeightsError
from reliableswap.faces.align import apply, upright
from reliableswap.faces.analysers import facemesh
from reliableswap.faces.analysers.facemesh import FaceMesh, WithFaceMesh
from reliableswap.faces.face import five_points
from reliableswap.geometry import measures as geometry
from reliableswap.geometry.topology import topology


def test_another_mesh_reads_the_same_faces(tmp_path: Path) -> None:
    """The network returns a constant mesh, which in the photo rotates and scales with the face's crop."""
    answer = np.zeros((468, 3), np.float32)
    answer[:] = mesh_of() - mesh_of().mean(0) + (96, 96, 0)
    nodes = [
        ("ReduceMean", ["x"], ["m"], {"axes": [1, 2, 3], "keepdims": 0}),
        ("Sub", ["m", "m"], ["zero"], {}),
        ("Add", ["c", "zero"], ["y"], {}),
    ]
    shapes = {"x": (1, 192, 192, 3)}, {"y": (1, 1404)}
    onnx_files.save(tmp_path / "mesh.onnx", nodes, *shapes, {"c": answer.reshape(1, -1)})
    plain, other = analyser(), WithFaceMesh(analyser(), FaceMesh(tmp_path / "mesh.onnx"))
    image = cv2.imread(str(person(1)), cv2.IMREAD_REDUCED_COLOR_4)[..., ::-1]
    (ours, *_), (theirs, *_) = plain(image), other(image)
    assert np.array_equal(ours.box, theirs.box)
    assert np.array_equal(ours.points5, theirs.points5)
    assert not np.allclose(ours.mesh, theirs.mesh, atol=1)
    assert geometry.expression_error(theirs.mesh, mesh_of()) == pytest.approx(0, abs=0.01)
    assert np.linalg.norm(theirs.mesh.mean(0)[:2] - ours.points5.mean(0)) < 0.6 * (ours.box[2] - ours.box[0])
    for path, says in ((tmp_path / "none.onnx", "no FaceMesh file"), (person(1), "not an ONNX network")):
        with pytest.raises(WeightsError, match=says):
            FaceMesh(Path(path))


def test_an_onnx_of_another_shape_is_no_mesh(tmp_path: Path) -> None:
    shape = (1, 3, 8, 8)
    onnx_files.save(tmp_path / "other.onnx", [("Abs", ["x"], ["y"], {})], {"x": shape}, {"y": shape})
    with pytest.raises(WeightsError, match="FaceMesh maps"):
        FaceMesh(tmp_path / "other.onnx")


def test_refined_lips_and_lids_replace_those_of_the_mesh(tmp_path: Path) -> None:
    """A network with attention that puts the mesh at 96, the eyes at 50 and 60, and the lips at 70."""
    constants = {
        name: np.full((1, length), value, np.float32)
        for name, length, value in (("m", 1404, 96), ("r", 142, 50), ("l", 142, 60), ("p", 160, 70))
    }
    nodes = [
        ("ReduceMean", ["x"], ["mean"], {"axes": [1, 2, 3], "keepdims": 0}),
        ("Sub", ["mean", "mean"], ["zero"], {}),
        *(("Add", [name, "zero"], [f"{name}_out"], {}) for name in constants),
    ]
    outputs = {f"{name}_out": value.shape for name, value in constants.items()}
    onnx_files.save(tmp_path / "mesh.onnx", nodes, {"x": (1, 192, 192, 3)}, outputs, constants)
    network = FaceMesh(tmp_path / "mesh.onnx")
    points = five_points(mesh_of())
    found = apply(upright(points, 192), network._mesh_of_crop(np.zeros((400, 400, 3), np.uint8), points))
    places = np.full((468, 2), 96.0)
    for group, place in ((facemesh.RIGHT_LIDS, 50), (facemesh.LEFT_LIDS, 60), (facemesh.LIPS, 70)):
        places[list(group)] = place
    np.testing.assert_allclose(found[:, :2], places, atol=0.01)
    assert set(facemesh.LIPS) >= {13, 14, 61, 291}
    assert set(facemesh.RIGHT_LIDS) == set(topology().regions["right_eye"])
    assert set(facemesh.LEFT_LIDS) == set(topology().regions["left_eye"])
