"""Training VisibilityNet: labels that leave something open, things pasted in front, and short runs."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from support.blend_faces import BEARD, MESHES, WOMAN, face
from torch.utils.data import default_collate

from reliableswap.cli.main import main
from reliableswap.data.photos import Photo, list_photos
from reliableswap.data.records import RecordCache
from reliableswap.data.splits import holds_out
from reliableswap.errors import ReliableSwapError
from reliableswap.geometry import regions
from reliableswap.jobs.units import Crew, Rank
from reliableswap.models import VisibilityNet
from reliableswap.training.tasks.faces.part_labels import (
    ANY,
    BIT,
    sets_from_fasseg,
    sets_from_hair_mask,
    sets_from_photo,
)
from reliableswap.training.tasks.faces.part_records import (
    PartsKind,
    labelled_parts,
    person_of,
    unlabelled_parts,
)
from reliableswap.training.tasks.faces.visibility import (
    CoveredFaces,
    LabelledCrop,
    VisibilitySettings,
    VisibilityTask,
    allowed_classes,
    overlap,
)

SHAPE = (192, 192)


class KnownMesh(PartsKind):
    """Returns the known mesh of `support.blend_faces`, since all photos show one person."""

    def _mesh(self, image: np.ndarray, central: bool) -> np.ndarray:
        return face(WOMAN)[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`parsing`: six people with hair masks, three of them held out; `faces`: without masks; `labels`: made already."""
    root = tmp_path_factory.mktemp("parts")
    names = [f"Some_Body{i}" for i in range(100)]
    kept = [name for name in names if holds_out(name)][:3]
    picture, mesh = face(WOMAN)
    hair = np.zeros(SHAPE, np.uint8)
    hair[: int(mesh[151, 1])] = 255
    for name in kept + [name for name in names if name not in kept][:3]:
        for place in (root / "parsing" / "lfw_hair" / f"{name}_0001.jpg", root / "faces" / name / "1.jpg"):
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(place, quality=95)
        Image.fromarray(hair).save(root / "parsing" / "lfw_hair" / f"{name}_0001.png")
    labelled = [p for p in list_photos(root / "parsing", ["lfw_hair"]) if p.path.suffix == ".jpg"]
    for part, photos in (("parsing", labelled), ("faces", list_photos(root / "faces"))):
        RecordCache(root / "labels" / part, KnownMesh(root), photos).complete(Crew(Rank(), 1))
    return root


def settings_for(folder: Path, **values: object) -> VisibilitySettings:
    places = {"parsing": folder / "parsing", "faces": folder / "faces", "teachers": folder}
    given = {"labels": folder / "labels", "train_batch_size": 2, "validation_pictures": 4, **places, **values}
    return VisibilitySettings(**given)  # type: ignore[arg-type]


def task_for(folder: Path, **values: object) -> VisibilityTask:
    settings = settings_for(folder, **values)
    labelled = labelled_parts(settings.parsing, folder, folder / "labels" / "parsing", 1)
    plain = unlabelled_parts(settings.faces, [], folder, folder / "labels" / "faces", 1)
    return VisibilityTask(settings, labelled, plain)


def share(sets: np.ndarray, where: np.ndarray, classes: int) -> float:
    """The share of a region's pixels whose set of possible classes is exactly `classes`."""
    return float((sets[where > 0] == classes).mean())


def test_a_hair_mask_tells_fringe_and_beard_apart_and_leaves_the_background_open() -> None:
    picture, mesh = face(BEARD)
    mask = np.maximum(regions.forehead(mesh, SHAPE), regions.lower_face(mesh, SHAPE)) > 0
    mask &= regions.lips(mesh, SHAPE) == 0
    sets = sets_from_hair_mask(mask, picture, mesh)
    chin = regions.polygon_mask(mesh[[18, 83, 201, 200, 421, 313]], SHAPE)
    assert share(sets, chin, BIT["beard"]) > 0.8
    fringe = cv2.erode(regions.forehead(mesh, SHAPE), np.ones((7, 7)))
    assert share(sets, fringe, BIT["hair"]) > 0.6  # brows may be under it
    eyes = regions.eyes(mesh, SHAPE) > 0
    assert share(sets & np.uint16(BIT["eyes"]), eyes, BIT["eyes"]) == 1
    beside = sets[:5].ravel()
    assert set(np.unique(beside)) == {BIT["background"] | BIT["skin"] | BIT["glasses"] | BIT["front"]}
    bare = sets_from_hair_mask(np.zeros(SHAPE, bool), *face(WOMAN))
    assert share(bare & BIT["hair"], regions.lower_face(face(WOMAN)[1], SHAPE), 0) > 0.8


def test_numbers_of_fasseg_become_classes_and_unknown_numbers_any() -> None:
    picture, mesh = face(WOMAN)
    labels = np.zeros(SHAPE, np.uint8)
    labels[regions.oval(mesh, SHAPE) > 0] = 1
    labels[regions.eyes(mesh, SHAPE) > 0] = 3
    labels[regions.lips(mesh, SHAPE) > 0] = 5
    labels[:20], labels[180:] = 2, 6
    sets = sets_from_fasseg(labels, picture, mesh)
    assert (sets[:18] == BIT["hair"]).all()
    assert (sets[183:] == ANY).all()
    cheeks = cv2.erode(regions.polygon_mask(mesh[[117, 101, 205, 187]], SHAPE), np.ones((5, 5)))
    assert share(sets, cheeks, BIT["skin"]) == 1
    assert share(sets, cv2.erode(regions.eyes(mesh, SHAPE), np.ones((3, 3))), BIT["eyes"]) == 1
    assert share(sets, regions.lips(mesh, SHAPE), BIT["lips"]) > 0.5


def test_a_photo_without_labels_labels_skin_by_colour_and_nothing_outside_the_face() -> None:
    for name in MESHES.keys() - {"about"}:
        picture, mesh = face(name)
        sets = sets_from_photo(picture, mesh)
        outside = cv2.dilate(regions.oval(mesh, SHAPE), np.ones((9, 9))) == 0
        assert members_of(sets[outside]).sum(-1).min() > 1
        cheeks = regions.polygon_mask(mesh[[117, 101, 205, 187]], SHAPE)
        assert share(sets, cheeks, BIT["skin"]) > 0.3, name
        assert not (sets[cheeks > 0] == BIT["hair"]).any()


def members_of(sets: np.ndarray) -> np.ndarray:
    return allowed_classes(torch.from_numpy(sets.astype(np.int32)).view(1, 1, -1))[0, :, 0].T.numpy()


def test_people_are_identified_by_the_file_names_of_the_data_sets() -> None:
    for name, person in (
        ("Aaron_Sorkin_0002", "Aaron_Sorkin"),
        ("Test_-30_personne08144p0-30", "personne08"),
        ("V2_Test_3", "V2_Test_3"),
        ("Frame00031", "Frame00031"),
    ):
        assert person_of(Photo(f"set/{name}.jpg", name, Path(name))) == person


def test_what_is_pasted_over_a_pixel_is_its_only_class(folder: Path) -> None:
    picture, mesh = face(WOMAN)
    parts = LabelledCrop(picture, np.full(SHAPE, BIT["skin"], np.uint16), mesh)
    opacity = np.zeros(SHAPE, np.float32)
    opacity[50:60], opacity[60:70] = 0.9, 0.3
    made = parts.with_over(picture, opacity, "front")
    assert (made.sets[50:60] == BIT["front"]).all()
    assert (made.sets[60:70] == BIT["front"] | BIT["skin"]).all()
    assert (made.sets[70:] == BIT["skin"]).all()
    mirrored = made.flipped().flipped()
    assert np.array_equal(mirrored.sets, made.sets)
    assert np.allclose(mirrored.mesh, mesh, atol=1e-3)


def test_a_sample_follows_from_the_seed_and_its_number(folder: Path) -> None:
    one, same = (task_for(folder).dataset for _ in range(2))
    other = task_for(folder, seed=1).dataset
    for i in range(4):
        assert all(torch.equal(one[i][name], same[i][name]) for name in one[i])
        assert one[i]["picture"].shape == (128, 128, 3)
        assert allowed_classes(one[i]["sets"][None]).any(1).all()
    assert any(not torch.equal(one[i]["picture"], other[i]["picture"]) for i in range(4))


def test_shares_say_how_many_faces_are_covered(folder: Path) -> None:
    bare = task_for(folder, occluded_share=0.0, painted_share=0.0, labelled_share=1.0).dataset
    full = task_for(folder, occluded_share=1.0, painted_share=1.0, labelled_share=1.0).dataset
    assert isinstance(bare, CoveredFaces)
    exact = [[(d[i]["sets"] == BIT["front"]).sum() for i in range(8)] for d in (bare, full)]
    assert sum(exact[0]) == 0
    assert sum(exact[1]) > 0
    assert all((full[i]["sets"] == BIT["glasses"]).any() for i in range(4))


def test_a_run_resumes_with_the_same_cutouts_only(folder: Path, tmp_path: Path) -> None:
    found = [task_for(folder).fingerprint()]
    for name in ("hair", "masks"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.full((20, 30, 4), 200, np.uint8)).save(tmp_path / name / "1.png")
        found.append(task_for(folder, occluders=tmp_path).fingerprint())
    assert found[0] != found[1] != found[2]
    assert task_for(folder, occluders=tmp_path).fingerprint() == found[2]


def test_losses_ask_for_any_of_the_classes_that_a_pixel_may_have(folder: Path) -> None:
    torch.manual_seed(0)
    task, network = task_for(folder), VisibilityNet(widths=(4, 4, 8, 8), deep=8)
    batch = default_collate([task.dataset[i] for i in range(2)])
    for name, loss in task.losses(network, batch).items():
        grads = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True, allow_unused=True)
        assert 0 < sum(float(g.abs().sum()) for g in grads if g is not None) < float("inf"), name
    batch["sets"] = torch.full_like(batch["sets"], ANY)
    assert float(task.losses(network, batch)["pixels"].detach()) == pytest.approx(0, abs=1e-5)


def test_overlap_counts_only_where_the_truth_is_known() -> None:
    found, true = torch.tensor([1, 1, 0, 1]) > 0, torch.tensor([1, 0, 1, 0]) > 0
    assert overlap(found, true, torch.tensor([True] * 4)) == pytest.approx(1 / 4)
    assert overlap(found, true, torch.tensor([True, True, False, False])) == pytest.approx(1 / 2)


@pytest.mark.slow
@pytest.mark.parametrize("start", ["--from_features", "--no-from_features"])
def test_two_steps_give_a_folder_that_loads(folder: Path, tmp_path: Path, start: str) -> None:
    more = ["--parsing", str(folder / "parsing"), "--faces", str(folder / "faces"), "--teachers", str(folder)]
    more += ["--labels", str(folder / "labels"), start, "--train_batch_size", "2"]
    more += ["--dataloader_num_workers", "0", "--validation_pictures", "2", "--mixed_precision", "no"]
    assert main(["train", "visibility", "--output_dir", str(tmp_path), "--max_train_steps", "2", *more]) == 0
    assert all(torch.isfinite(p).all() for p in VisibilityNet.from_pretrained(tmp_path).parameters())
    figures = json.loads((tmp_path / "figures.jsonl").read_text().splitlines()[-1])
    assert {"mean", "hidden", "skin", "hair"} <= set(figures)
    assert list(tmp_path.glob("grids/*"))


def test_a_folder_without_label_maps_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ReliableSwapError, match="has a label map"):
        labelled_parts(folder / "faces", folder, tmp_path, 1)
