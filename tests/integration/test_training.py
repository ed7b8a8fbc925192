"""Training the face networks: two steps from nothing, exact resume, and labels that mean what they say."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.people import person

sys.path.insert(0, str(Path(__file__).parents[2]))
import train_accelerate
from reliableswap.faces.align import apply
from reliableswap.faces.face import five_points
from reliableswap.imaging.degrade import degrade, occlude, texture
from reliableswap.models.detector import FaceDetector
from reliableswap.models.landmarks import MeshNet
from reliableswap.training.tasks.faces import detector as detector_training
from reliableswap.training.tasks.faces.landmarks import turned_to, yaw_of
from reliableswap.training.tasks.faces.mosaic import LabelledFace, LabelledPhoto, mosaic, turned_box
from reliableswap.training.tasks.faces.teachers import find_photos, held_out, labels_key

SIZE = 160


def face_mesh(rng: np.random.Generator) -> np.ndarray:
    """(468,3) points with a face's five points in plausible places of a 160 px photo."""
    mesh = rng.uniform(50, 110, (468, 3))
    for points, place in (
        ((33, 133), (62, 66)),
        ((362, 263), (98, 66)),
        ((4,), (80, 86)),
        ((61,), (66, 106)),
    ):
        mesh[list(points), :2] = place
    mesh[291, :2] = (94, 106)
    mesh[10], mesh[152], mesh[168] = (80, 40, 0), (80, 128, 0), (80, 66, -8)
    mesh[234], mesh[454] = (48, 80, 20), (112, 80, 20)
    mesh[33, 0], mesh[263, 0] = 56, 104
    mesh[133, 0], mesh[362, 0] = 68, 92
    return mesh.astype(np.float32)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten people's photos with labels made up here: what is tested is the machinery, not the teachers."""
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    names = [f"person{i}" for i in range(100)]
    kept = [name for name in names if held_out(f"{name}/1.png")][:2]
    for number, name in enumerate(kept + [n for n in names if n not in kept][:8], start=1):
        (folder / name).mkdir()
        portrait = Image.open(person(number)).convert("RGB").resize((SIZE, SIZE))
        portrait.save(folder / name / "1.png")
    names = find_photos(folder)
    mesh = np.stack([face_mesh(rng) for _ in names])
    rows = [np.concatenate([m[:, :2].min(0), m[:, :2].max(0), five_points(m).ravel(), [0.95]]) for m in mesh]
    mirrored = mesh * (-1, 1, 1) + (SIZE - 1, 0, 0)
    np.savez(
        folder / "labels.npz",
        key=labels_key(folder, folder, names),
        owner=np.arange(len(names)),
        faces=np.stack(rows).astype(np.float32),
        meshes=mesh,
        mirrored=mirrored.astype(np.float32),
    )
    return folder


def arguments(kind: str, photos: Path, output: Path, *more: str) -> list[str]:
    return [
        kind, "--faces", str(photos), "--teachers", str(photos), "--labels", str(photos / "labels.npz"),
        "--output_dir", str(output), "--train_batch_size", "2", "--dataloader_num_workers", "0",
        "--validation_pictures", "2", "--mixed_precision", "no", "--lr_warmup_steps", "1", *more,
    ]  # fmt: skip


@pytest.mark.parametrize(("kind", "network"), [("detector", FaceDetector), ("landmarks", MeshNet)])
def test_two_steps_from_nothing_give_a_folder_that_loads(
    kind: str, network: type, photos: Path, tmp_path: Path
) -> None:
    more = ("--canvas", "96") if kind == "detector" else ()
    assert train_accelerate.main(arguments(kind, photos, tmp_path, "--max_train_steps", "2", *more)) == 0
    loaded = network.from_pretrained(tmp_path)
    assert all(torch.isfinite(p).all() for p in loaded.parameters())
    figures = json.loads((tmp_path / "figures.jsonl").read_text().splitlines()[-1])
    assert figures["step"] == 2


def test_a_missing_teacher_and_an_empty_folder_are_one_line(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert train_accelerate.main(arguments("detector", tmp_path / "empty", tmp_path)) == 2
    assert "no pictures under" in capsys.readouterr().err
    lonely = arguments("detector", photos, tmp_path)
    lonely[lonely.index("--labels") + 1] = str(tmp_path / "none.npz")
    assert train_accelerate.main(lonely) == 2
    assert "yunet_n_dynamic.onnx" in capsys.readouterr().err


def test_held_out_people_stay_held_out_and_are_about_a_tenth() -> None:
    names = [f"lfw/Person_{i}/Person_{i}_0001.jpg" for i in range(3000)]
    kept = [name for name in names if held_out(name)]
    assert 0.08 < len(kept) / len(names) < 0.12
    assert all(held_out(name.replace("_0001", "_0007")) for name in kept)  # all photos of a person together
    assert held_out("casia/0000045/001.jpg") == held_out("casia/0000045/002.jpg")
    flat = ["small", "large"]
    picked = [name for name in map(str, range(10_000, 10_500)) if held_out(f"small/{name}.jpg", flat)]
    assert 25 < len(picked) < 75
    assert all(held_out(f"large/{name}.jpg", flat) for name in picked)  # the same person at two sizes


def white_face(side: int = 60) -> LabelledPhoto:
    """A photo whose face is a white box on black, so that where it went can be seen."""
    pixels = np.zeros((100, 100, 3), np.uint8)
    pixels[20 : 20 + side, 30 : 30 + side] = 255
    box = np.array([29.5, 19.5, 29.5 + side, 19.5 + side], np.float32)
    points = np.array([[40, 35], [70, 35], [60, 50], [45, 70], [65, 70]], np.float32)
    return LabelledPhoto(pixels, [LabelledFace(box, points, True)])


def test_mosaics_say_truly_where_the_faces_are() -> None:
    checked = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        image, faces = mosaic([white_face()] * 3, 200, rng, strength=0.0, roll_limit=20)
        for face in faces:
            centre = ((face.box[:2] + face.box[2:]) / 2).round().astype(int)
            if (centre > 5).all() and (centre < 195).all():
                checked += 1
                patch = image[centre[1] - 2 : centre[1] + 3, centre[0] - 2 : centre[0] + 3]
                assert patch.mean() > 150
    assert checked > 20


def test_a_mirrored_face_swaps_its_eyes_so_that_the_left_one_stays_first() -> None:
    face = white_face().faces[0]
    mirrored = face.moved(np.array([[-1.0, 0, 99], [0, 1, 0]]), mirrored=True)
    assert mirrored.points5[0, 0] < mirrored.points5[1, 0]
    assert mirrored.points5[3, 0] < mirrored.points5[4, 0]
    assert mirrored.points5[2].tolist() == [39, 50]


def test_a_turned_box_holds_the_turned_ellipse() -> None:
    box = np.array([-20, -30, 20, 30], np.float32)
    quarter = np.array([[0.0, -1, 0], [1, 0, 0]])
    assert np.allclose(turned_box(box, quarter), (-30, -20, 30, 20))
    eighth = np.array([[1.0, -1, 0], [1, 1, 0]]) / np.sqrt(2)
    angle = np.linspace(0, 2 * np.pi, 1000)
    ellipse = apply(eighth, np.column_stack([20 * np.cos(angle), 30 * np.sin(angle)]))
    assert np.allclose(turned_box(box, eighth), np.concatenate([ellipse.min(0), ellipse.max(0)]), atol=0.01)


def test_targets_ask_the_cell_at_the_centre_and_ignore_the_uncertain() -> None:
    sure = LabelledFace(np.array([40, 40, 80, 80], np.float32), np.full((5, 2), 60, np.float32), True)
    unsure = dataclasses.replace(sure, box=np.array([100, 100, 140, 140], np.float32), certain=False)
    wanted = detector_training.targets([sure, unsure], 160)
    finest = wanted[:400].reshape(20, 20, 15)
    assert finest[7, 7, 0] == 1
    assert finest[7, 7, 1:5] == pytest.approx([60, 60, np.log(40), np.log(40)])
    assert finest[15, 15, 0] == -1
    assert finest[0, 0, 0] == 0
    assert (wanted[:, 0] == 1).sum() < 12


def test_every_detector_loss_moves_the_network(photos: Path) -> None:
    settings = detector_training.DetectorSettings(
        faces=photos, teachers=photos, labels=photos / "labels.npz", canvas=96
    )
    labels = detector_training.label_photos(photos, photos, photos / "labels.npz")
    task = detector_training.DetectorTask(settings, labels)
    learnt, kept = len(task.dataset.indices), len(task.held_out.indices)
    said = task.facts()["photos"]
    assert said == f"{len(labels.photos)}; {learnt} with a face to learn from, {kept} of held-out people"
    torch.manual_seed(0)
    network = FaceDetector()
    batch = torch.utils.data.default_collate([task.dataset[i] for i in range(6)])
    before = {key: value.clone() for key, value in batch.items()}
    losses = task.losses(network, batch)
    assert set(losses) == {"score", "box", "points"}
    for name, loss in losses.items():
        grads = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True, allow_unused=True)
        size = sum(float(g.abs().sum()) for g in grads if g is not None)
        assert 0 < size < float("inf"), name
    assert all(torch.equal(batch[key], before[key]) for key in batch)


def test_perfect_answers_score_one_and_wrong_ones_do_not() -> None:
    face = white_face().faces[0]
    row = np.concatenate([face.box, face.points5.ravel(), [0.9]])[None].astype(float)
    tally = detector_training.Tally()
    tally.add(row, [face])
    assert tally.figures() == {"recall": 1.0, "precision": 1.0, "point_error": 0.0}
    tally.add(row + 200, [face])
    assert tally.figures()["recall"] == tally.figures()["precision"] == 0.5


def test_a_head_turned_to_a_yaw_has_that_yaw_and_keeps_its_distances(rng: np.random.Generator) -> None:
    image, mesh = rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8), face_mesh(rng)
    mesh[234, 2] += 4  # it already looks a little to one side
    turned, turned_mesh = turned_to(image, mesh, 55.0)
    assert turned.shape == image.shape
    assert abs(float(yaw_of(turned_mesh))) == pytest.approx(55, abs=6)
    assert np.sign(yaw_of(turned_mesh)) == np.sign(yaw_of(mesh))

    def spread(points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points[:50, None] - points[None, 50:100], axis=-1)

    assert np.allclose(spread(turned_mesh), spread(mesh), atol=0.01)


def test_degrading_is_deterministic_keeps_the_shape_and_does_something() -> None:
    image = np.tile(np.linspace(0, 255, 64).astype(np.uint8)[:, None, None], (1, 64, 3))
    changed = 0
    for seed in range(20):
        one, two = (degrade(image.copy(), np.random.default_rng(seed)) for _ in range(2))
        assert one.shape == image.shape
        assert one.dtype == np.uint8
        assert (one == two).all()
        changed += (one != image).any()
    assert changed > 12


def test_occluders_hide_a_part_and_only_a_part(rng: np.random.Generator) -> None:
    hidden = []
    for _ in range(40):
        image = texture(rng, 80)
        before = image.copy()
        occlude(image, np.array([20, 20, 60, 60], np.float32), rng)
        hidden.append((image != before).any(2)[20:60, 20:60].mean())
    assert 0.01 < np.mean(hidden) < 0.4
