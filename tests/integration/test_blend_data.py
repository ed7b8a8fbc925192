"""The command that makes the blend room's data files: what it finds in faces whose answer is known."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

import train_accelerate
from reliableswap.errors import ReliableSwapError
from reliableswap.faces import looks
from reliableswap.geometry.topology import topology
from reliableswap.training.tasks.faces.teachers import find_photos, held_out, labels_key
from tools.look_classifiers import Wearer, draw_cover, logistic_regression, read_attributes, swapped_sides
from tools.mean_face import laid_on, mean_face, mirror_map, reflected, symmetric, upright
from tools.person_shape import area, person_filter, separation
from tools.triangulate import RINGS, delaunay, force_edge, triangulate

ROOT = Path(__file__).parents[2]
MEAN, MIRROR = topology().canonical.astype(np.float64), topology().mirror


def rotation(rng: np.random.Generator, degrees: float) -> np.ndarray:
    vector = np.radians(rng.uniform(-degrees, degrees, 3))
    return cv2.Rodrigues(vector)[0]


def posed(forms: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N,468,3) each face turned, scaled and moved as in a photo."""
    return np.stack(
        [f @ rotation(rng, 25) * rng.uniform(20, 60) + rng.uniform(40, 90, 3) * (1, 1, 0) for f in forms]
    )


def in_a_mirror(meshes: np.ndarray, width: float = 128.0) -> np.ndarray:
    """(N,468,3) what a perfect teacher answers for the mirrored photos."""
    return meshes[:, MIRROR] * (-1, 1, 1) + (width - 1, 0, 0)


LOWER_LIP = [146, 91, 181, 84, 17, 77, 90, 180, 85, 16, 96, 89, 179, 86, 15, 95, 88, 178, 87, 14]
LOWER_LIP = sorted({*LOWER_LIP, *MIRROR[LOWER_LIP].tolist()})


def opened(face: np.ndarray, gap: float) -> np.ndarray:
    """The face with its lower lip, and all below it, down by so many eye distances, less so at the sides."""
    below = MEAN[:, 1] > MEAN[146, 1]
    below[LOWER_LIP] = True
    out = face.copy()
    out[below, 1] += gap * np.clip(1 - (np.abs(MEAN[below, 0]) / 0.45) ** 2, 0, 1)
    return out


# the mean face ---------------------------------------------------------------------------------------------------


def test_twins_are_found_from_reflections_whatever_the_pose(rng: np.random.Generator) -> None:
    meshes = posed(MEAN + rng.normal(0, 0.02, (12, 468, 3)), rng)
    assert np.array_equal(mirror_map(meshes, in_a_mirror(meshes)), MIRROR)


def test_twins_that_contradict_each_other_are_an_error(rng: np.random.Generator) -> None:
    meshes = posed(MEAN[None], rng)
    wrong = in_a_mirror(meshes)
    wrong[:, 5] = wrong[:, 200]
    with pytest.raises(ReliableSwapError, match="have no twin among 1 photos"):
        mirror_map(meshes, wrong)


def test_the_mean_of_posed_faces_is_the_face_they_were_made_of(rng: np.random.Generator) -> None:
    asymmetric = MEAN + rng.normal(0, 0.03, (150, 468, 3))
    found = mean_face(posed(asymmetric, rng), MIRROR)
    assert np.sqrt(((found - MEAN) ** 2).sum(1).mean()) < 0.006
    np.testing.assert_allclose(reflected(found, MIRROR), found, atol=1e-9)
    np.testing.assert_allclose(found[[33, 263]].mean(0), 0, atol=1e-9)
    assert np.linalg.norm(found[33] - found[263]) == pytest.approx(1)
    assert found[152, 2] == pytest.approx(found[10, 2])
    assert found[152, 1] > found[10, 1]


def test_a_face_that_was_turned_comes_back_symmetric_and_upright(rng: np.random.Generator) -> None:
    turned = MEAN @ rotation(rng, 30) + 0.3
    np.testing.assert_allclose(upright(symmetric(turned - turned.mean(0), MIRROR)), upright(MEAN), atol=2e-3)


# triangles -------------------------------------------------------------------------------------------------------


def test_delaunay_circles_are_empty_and_the_triangles_fill_the_hull(rng: np.random.Generator) -> None:
    points = rng.uniform(-3, 5, (60, 2))
    triangles = delaunay(points)
    whole = 0.0
    for t in triangles:
        a, b, c = points[list(t)]
        whole += abs(np.linalg.det(np.array([b - a, c - a]))) / 2
        centre = np.linalg.solve(2 * np.array([b - a, c - a]), [b @ b - a @ a, c @ c - a @ a])
        others = np.delete(points, list(t), axis=0)
        assert np.linalg.norm(others - centre, axis=1).min() > np.linalg.norm(a - centre) * (1 - 1e-4)
    hull = cv2.contourArea(cv2.convexHull(points.astype(np.float32)))
    assert whole == pytest.approx(hull, rel=1e-4)


def test_flips_bring_in_an_edge_and_keep_the_area(rng: np.random.Generator) -> None:
    points = np.concatenate([rng.uniform(0, 1, (40, 2)), [[-0.2, 0.5], [1.2, 0.5]]])
    triangles = delaunay(points)
    assert not any({40, 41} <= set(t) for t in triangles)

    def areas() -> np.ndarray:
        a, b, c = np.moveaxis(points[np.array(triangles)], 1, 0)
        u, v = b - a, c - a
        return np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])

    before, count = areas().sum(), len(triangles)
    force_edge(triangles, 40, 41, points)
    assert sum({40, 41} <= set(t) for t in triangles) == 2
    assert len(triangles) == count
    assert areas().sum() == pytest.approx(before)


def test_an_open_face_triangulates_into_one_disc_whose_mouth_is_its_own() -> None:
    triangles = triangulate(opened(MEAN, 0.2), MIRROR)
    assert len(triangles) == 2 * 468 - 2 - len(RINGS["oval"])
    same = {tuple(sorted(t)) for t in triangles.tolist()}
    assert {tuple(sorted(t)) for t in MIRROR[triangles].tolist()} == same
    lips = set(RINGS["inner_lips"])
    assert sum(set(t) <= lips for t in triangles.tolist()) == len(lips) - 2


def test_the_shipped_mesh_has_every_triangle_between_the_lips() -> None:
    lips = set(topology().regions["inner_lips"].tolist())
    assert sum(set(t) <= lips for t in topology().triangles.tolist()) == len(lips) - 2


def test_a_face_folded_over_its_outline_is_an_error() -> None:
    folded = MEAN.copy()
    folded[[1, 4]] *= (1, 6, 1)
    with pytest.raises(ReliableSwapError, match="label more photos"):
        triangulate(folded, MIRROR)


# shape -----------------------------------------------------------------------------------------------------------


def planted(rng: np.random.Generator, people: int, photos: int) -> tuple[np.ndarray, ...]:
    """Departures whose first direction is the person's and whose second is the photo's."""
    directions = rng.normal(0, 1, (2, 468, 3))
    directions = directions + reflected(directions, MIRROR)
    directions /= np.linalg.norm(directions, axis=(1, 2), keepdims=True)
    who = np.repeat(np.arange(people), photos)
    person = rng.normal(0, 0.5, people)[who]
    moment = rng.normal(0, 0.8, people * photos)
    noise = rng.normal(0, 0.0005, (len(who), 468, 3))
    forms = np.einsum("nk,kpc->npc", np.column_stack([person, moment]), directions) + noise
    return forms, np.array([f"p{w}" for w in who]), directions.reshape(2, -1)


def test_what_is_the_persons_passes_and_what_is_the_photos_does_not(rng: np.random.Generator) -> None:
    forms, people, (person, moment) = planted(rng, 80, 3)
    filter = person_filter(forms, people, MIRROR, modes=1)
    assert filter.shares[0] > 0.95
    passed = filter(np.stack([person, moment]))
    assert passed[0] @ person > 0.9
    assert np.linalg.norm(passed[1]) < 0.1
    unseen, others, _ = planted(np.random.default_rng(0), 30, 2)  # the same seed plants the same directions
    figures = separation(filter, unseen, others, seed=0)
    assert figures["area_filtered"] > 0.9 > 0.75 > figures["area_raw"]
    assert figures["passed_same"] < 0.2 < figures["passed_others"]


def test_people_with_one_photo_each_are_no_measure_of_a_person(rng: np.random.Generator) -> None:
    forms = rng.normal(0, 0.1, (6, 468, 3))
    with pytest.raises(ReliableSwapError, match="no two photos of one person among 6"):
        person_filter(forms, np.array(list("abcdef")), MIRROR, 2)
    forms, people, _ = planted(rng, 10, 2)
    filter = person_filter(forms, people, MIRROR, 1)
    with pytest.raises(ReliableSwapError, match="add photos"):
        separation(filter, forms[::2], people[::2], 0)


def test_the_area_counts_pairs_in_order_and_ties_half() -> None:
    assert area(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 1
    assert area(np.array([1.0, 3.0]), np.array([1.0, 2.0])) == pytest.approx((0.5 + 0 + 1 + 1) / 4)


# looks -----------------------------------------------------------------------------------------------------------


def test_swapped_sides_are_the_features_of_the_mirrored_patch(rng: np.random.Generator) -> None:
    patch = cv2.GaussianBlur(rng.uniform(0, 255, (32, 64)).astype(np.float32), (0, 0), 2).astype(np.uint8)
    mirrored = looks.features(np.ascontiguousarray(patch[:, ::-1]))
    np.testing.assert_allclose(swapped_sides(looks.features(patch)[None])[0], mirrored, atol=1e-4)


def test_regression_finds_the_odds_and_does_not_mind_the_side(rng: np.random.Generator) -> None:
    samples = rng.normal(0, 1, (400, 896))
    samples[:, [800, 815]] *= 12  # two cells that are each other's mirror
    labels = samples[:, 800] + samples[:, 815] > 0
    found = logistic_regression(samples[:300], labels[:300], 1.0)
    assert ((found(samples[300:]) > 0) == labels[300:]).mean() > 0.85
    np.testing.assert_allclose(found(swapped_sides(samples)), found(samples), atol=1e-9)
    strict = logistic_regression(samples[:300], labels[:300], 1000.0)
    assert np.linalg.norm(strict.weights) < 0.5 * np.linalg.norm(found.weights)
    with pytest.raises(ReliableSwapError, match="same label"):
        logistic_regression(samples[:300], np.ones(300, bool), 1.0)


def test_every_kind_of_cover_changes_a_mouth_and_stays_a_patch(rng: np.random.Generator) -> None:
    picture = cv2.resize(rng.integers(0, 255, (16, 16, 3), np.uint8), (128, 128))
    face = Wearer(picture, (MEAN * 40 + (64, 50, 0)).astype(np.float32), {}, False)
    mouth = looks.MOUTH.patch(picture, face.mesh, MEAN)
    assert mouth.shape == (32, 64, 3)
    for seed in range(12):
        cover = draw_cover(mouth, face, MEAN, np.random.default_rng(seed))
        assert cover.shape == mouth.shape
        assert cover.dtype == np.uint8
        assert np.abs(cover.astype(int) - mouth).mean() > 1
        assert np.array_equal(cover, draw_cover(mouth, face, MEAN, np.random.default_rng(seed)))


@pytest.mark.parametrize("text", ["[]", "{", '{"1": {"glasses": "NoGlasses"}}', '{"1": 3}'])
def test_attributes_of_another_kind_are_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ReliableSwapError, match=r"occlusion\.mouthOccluded") as caught:
        read_attributes(tmp_path / "a.json")
    assert "\n" not in str(caught.value)
    with pytest.raises(ReliableSwapError, match="--attributes"):
        read_attributes(tmp_path / "none.json")


# the command -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Painted photos of 24 people with two photos and 40 with one, with a perfect teacher's answers to them."""
    folder, rng = tmp_path_factory.mktemp("people"), np.random.default_rng(7)
    smile = np.zeros((468, 3))
    smile[[61, 291], 0] = (-0.1, 0.1)
    forms: dict[str, np.ndarray] = {}
    attributes = {}
    for number in range(24):
        person = MEAN * (1 + rng.normal(0, 0.05, 3))
        for photo in "ab":
            face = person + smile * rng.normal(0, 1)
            forms[f"person{number}/{photo}.png"] = opened(face, 0.25 if number % 8 == 0 else 0.0)
    for number in range(40):
        forms[f"flat/{number:03d}.png"] = MEAN + rng.normal(0, 0.01, (468, 3))
        attributes[f"{number:03d}"] = {
            "glasses": "ReadingGlasses" if number % 2 else "NoGlasses",
            "occlusion": {"mouthOccluded": number == 0},
        }
    names = sorted(forms)
    assert any(held_out(n) for n in names if "person" in n)
    assert any(held_out(n, ["flat"]) for n in names if "flat" in n)
    meshes = np.stack([forms[n] @ rotation(rng, 10) * 34 + (64, 55, 0) for n in names]).astype(np.float32)
    for name, mesh in zip(names, meshes, strict=True):
        picture = np.full((128, 128, 3), 150, np.uint8)
        for ring in ("lips", "right_eye", "left_eye"):
            cv2.fillPoly(picture, [mesh[RINGS[ring], :2].astype(np.int32)], (70, 60, 140))
        if "flat" in name and attributes[Path(name).stem]["glasses"] != "NoGlasses":
            for eye in ("right_eye", "left_eye"):
                x, y = mesh[RINGS[eye], :2].mean(0).astype(int).tolist()
                cv2.circle(picture, (x, y), 12, (20, 20, 20), 2)
        noisy = np.clip(picture + rng.normal(0, 6, picture.shape), 0, 255)
        (folder / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(folder / name), noisy.astype(np.uint8))
    assert find_photos(folder) == names
    rows = np.concatenate([meshes[:, :, :2].min(1), meshes[:, :, :2].max(1), np.zeros((len(names), 11))], 1)
    np.savez(
        folder / "labels.npz", key=labels_key(folder, folder, names), owner=np.arange(len(names)), faces=rows,
        meshes=meshes, mirrored=in_a_mirror(meshes),
    )  # fmt: skip
    (folder / "attributes.json").write_text(json.dumps(attributes))
    return folder


def command(photos: Path, output: Path, *more: str) -> list[str]:
    return [
        "blend-data", "--faces", str(photos), "--flat_folders", "flat", "--teachers", str(photos),
        "--labels", str(photos / "labels.npz"), "--attributes", str(photos / "attributes.json"),
        "--output_dir", str(output), "--shape_modes", "3", *more,
    ]  # fmt: skip


def test_the_command_makes_the_files_the_blend_room_reads(photos: Path, tmp_path: Path) -> None:
    assert train_accelerate.main(command(photos, tmp_path / "one")) == 0
    assert train_accelerate.main(command(photos, tmp_path / "two")) == 0
    made = {path.name: path.read_text() for path in (tmp_path / "one").iterdir()}
    assert made == {path.name: path.read_text() for path in (tmp_path / "two").iterdir()}
    shipped = ROOT / "reliableswap" / "blend"
    for name in ("topology.json", "shape.json", "looks.json"):
        assert json.loads(made[name]).keys() == json.loads((shipped / name).read_text()).keys()
    mesh = json.loads(made["topology.json"])
    assert mesh["mirror"] == MIRROR.tolist()
    assert mesh["regions"] == {name: ring.tolist() for name, ring in topology().regions.items()}
    np.testing.assert_allclose(laid_on(np.array(mesh["canonical"])[None], MEAN)[0], MEAN, atol=0.06)
    shape = json.loads(made["shape.json"])
    values = np.frombuffer(base64.b64decode(shape["analyse"]), "<f2")
    assert values.reshape(3 * 468, shape["modes"]).shape == (1404, 3)
    assert np.isfinite(values).all()
    weights = np.frombuffer(base64.b64decode(json.loads(made["looks.json"])["glasses"]["weights"]), "<f2")
    assert weights.shape == (896,)
    figures = json.loads(made["figures.json"])
    assert figures["glasses"]["right"] == 1  # circles around eyes are told from none
    assert figures["topology"]["same_twins_held_out"] == 1
    assert figures["shape"]["people"] < 24  # some are held out
    assert figures["mouth"]["labelled_covered"] == 1


def test_folders_without_what_is_needed_are_one_line(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train_accelerate.main(command(photos, tmp_path, "--attributes", str(tmp_path / "none"))) == 2
    assert "pass --attributes" in capsys.readouterr().err
    assert (
        train_accelerate.main(command(photos, tmp_path, "--photos_per_person", "4", "--flat_folders", "x"))
        == 2
    )
    assert "pass --flat_folders" in capsys.readouterr().err
