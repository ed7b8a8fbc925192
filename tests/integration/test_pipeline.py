"""The whole swap with the bundled networks, on generated people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from diffusers.utils import logging
from support.people import person, portrait

from reliableswap import ReliableSwapPipeline
from reliableswap.errors import NoFaceError, PictureError, ReliableSwapError, WeightsError
from reliableswap.faces.analysers.base import FaceAnalyser
from reliableswap.faces.detect import find_faces
from reliableswap.media import Picture, read_picture
from reliableswap.models.fixer import FixerNet
from reliableswap.models.identity import IdentityEncoder
from reliableswap.models.landmarks import MeshNet
from reliableswap.models.light import LightGenerator
from reliableswap.pipelines.image import Engine
from reliableswap.provenance import read_mark
from reliableswap.runtime.arrays import as_array_network
from reliableswap.swap import subject
from reliableswap.swap.settings import SwapSettings
from reliableswap.swap.subject import Subject


@pytest.fixture(scope="module")
def group() -> np.ndarray:
    """Three portraits side by side, the largest in the middle."""
    canvas = np.full((420, 1000, 3), 128, np.uint8)
    for number, side, x in ((2, 280, 10), (3, 400, 300), (4, 240, 720)):
        image = portrait(number, side)
        canvas[10 : 10 + image.shape[0], x : x + image.shape[1]] = image
    return canvas


@pytest.mark.parametrize("number", range(1, 11))
@pytest.mark.parametrize("picture", ["studio_portrait", "amateur_selfie"])
def test_every_person_has_one_face_with_a_plausible_mesh(
    pipe: ReliableSwapPipeline, number: int, picture: str
) -> None:
    image = portrait(number, 640, picture)
    face = pipe.find(image)[0]
    assert face.score > 0.6
    assert (face.presence or 0) > 0.6
    mesh = face.mesh
    eyes = mesh[[33, 133, 362, 263], :2]
    box = face.box.reshape(2, 2)
    assert (eyes > box[0]).all()
    assert (eyes < box[1]).all()
    # The mesh and the detector agree on where eyes and mouth are.
    seen = find_faces(as_array_network(pipe.detector), image)[0]
    assert np.linalg.norm(face.points5[:2] - seen.points5[:2], axis=1).max() < 0.12 * face.size
    assert np.linalg.norm(face.points5[3:] - seen.points5[3:], axis=1).max() < 0.15 * face.size
    assert mesh[152, 1] > mesh[14, 1] > mesh[1, 1] > mesh[168, 1] > mesh[10, 1]


def test_a_swap_changes_the_face_and_nothing_else(pipe: ReliableSwapPipeline, group: np.ndarray) -> None:
    result = pipe(portrait(1), group, faces="largest")
    swapped = np.asarray(result.images[0])
    report = result.report
    assert len(report.faces) == 3
    assert report.swapped == [0]
    changed = (swapped != group).any(2)
    assert changed[:, :280].sum() == 0
    assert changed[:, 720:].sum() == 0
    x0, y0, x1, y1 = (round(v) for v in report.faces[0].box)
    inside = np.abs(swapped.astype(int) - group)[y0:y1, x0:x1]
    assert (inside.max(2) > 3).mean() > 0.4
    json.dumps(report.to_dict())


@pytest.mark.slow
def test_all_chosen_and_mapped_faces(pipe: ReliableSwapPipeline, group: np.ndarray) -> None:
    assert pipe(portrait(1), group, faces="all").report.swapped == [0, 1, 2]
    assert pipe(portrait(1), group, faces=[2]).report.swapped == [2]
    alice, bob = (Picture(portrait(number), name=f"{number}.png") for number in (1, 5))
    mapped = pipe(None, group, faces={0: alice, 2: [bob, bob]})  # a list: several photos of one person
    assert mapped.report.swapped == [0, 2]
    assert mapped.report.faces[2].source == bob.name
    one = pipe(alice, group, faces=[0])
    assert not np.array_equal(np.asarray(one.images[0]), np.asarray(mapped.images[0]))


@pytest.mark.slow
def test_likeness_zero_is_the_photo_itself_and_more_changes_more(pipe: ReliableSwapPipeline) -> None:
    target = portrait(2)
    none, half, full = (
        np.asarray(pipe(portrait(1), target, likeness=likeness).images[0]).astype(int)
        for likeness in (0, 0.5, 1)
    )
    assert np.array_equal(none, target)
    assert 0 < np.abs(half - target).sum() < np.abs(full - target).sum()


@pytest.mark.slow
def test_saved_results_are_marked(pipe: ReliableSwapPipeline, tmp_path: Path) -> None:
    result = pipe(portrait(1, 200), portrait(2, 200))
    for name in ("swapped.png", "swapped.jpg"):
        mark = read_mark(result.save(tmp_path / name))
        assert mark is not None
        assert mark.ai_made
    with pytest.raises(PictureError, match="overwrite"):
        result.save(tmp_path / "swapped.png")
    assert result.save(tmp_path / "swapped.png", overwrite=True).is_file()


@pytest.mark.slow
def test_a_larger_limit_lets_a_larger_picture_in(
    pipe: ReliableSwapPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = read_picture(person(2))
    monkeypatch.setattr("reliableswap.media.read.MAX_PIXELS", photo.width * photo.height - 1)
    with pytest.raises(PictureError, match="over the limit"):
        pipe(photo, person(2))
    small = read_picture(photo.pixels[::2, ::2])
    assert pipe(small, read_picture(person(2), max_pixels=photo.width * photo.height)).report.swapped == [0]


def test_a_swap_is_deterministic(pipe: ReliableSwapPipeline) -> None:
    first, second = (np.asarray(pipe(portrait(3), portrait(4)).images[0]) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["blend", "neural"])
def test_a_huge_face_is_swapped_at_a_lower_resolution(
    pipe: ReliableSwapPipeline, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = portrait(1, 950), portrait(2, 950)
    whole = np.asarray(pipe(source, target, engine=engine).images[0]).astype(int)
    worked_on: list[tuple[int, ...]] = []
    around = Subject.around.__func__  # type: ignore[attr-defined]

    def watched(cls: type[Subject], *given: Any) -> Subject:
        region: Subject = around(cls, *given)
        worked_on.append(region.shape)
        return region

    monkeypatch.setattr(Subject, "around", classmethod(watched))
    monkeypatch.setattr(subject, "MAX_FACE_SIDE", 330.0)  # of 433 and 400
    smaller = np.asarray(pipe(source, target, engine=engine).images[0]).astype(int)
    assert all(600 < max(shape) < 330 * (1 + 2 * subject.MARGIN) + 3 for shape in worked_on)
    changed = (whole != target).any(2)
    assert np.abs(smaller - whole)[changed].mean() < 3
    assert np.abs(smaller - target)[changed].mean() > 2 * np.abs(smaller - whole)[changed].mean()
    x0, y0, x1, y1 = max(pipe.find(target), key=lambda face: face.size).box
    reach = subject.MARGIN * 433
    rows, columns = np.indices(target.shape[:2])
    outside = (columns < x0 - reach) | (columns > x1 + reach) | (rows < y0 - reach) | (rows > y1 + reach)
    assert outside.mean() > 0.3
    assert (smaller == target)[outside].all()


@pytest.mark.slow
@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_photo_on_its_side_swaps_like_the_upright_one(pipe: ReliableSwapPipeline, turn: int) -> None:
    target = portrait(2)
    upright = np.asarray(pipe(portrait(1), target).images[0]).astype(int)
    turned = np.ascontiguousarray(np.rot90(target, turn))
    back = np.rot90(np.asarray(pipe(portrait(1), turned).images[0]), -turn).astype(int)
    change = np.abs(upright - target)
    assert np.abs(back - upright).mean() < 0.35 * change.mean()


def test_alpha_and_profile_are_kept(pipe: ReliableSwapPipeline) -> None:
    pixels = portrait(2)
    alpha = np.tile(np.arange(pixels.shape[1], dtype=np.uint8), (pixels.shape[0], 1))
    picture = Picture(pixels, alpha=alpha, icc=b"a profile", name="two.png")
    out = pipe(portrait(1), picture).pictures[0]
    assert out.alpha is not None
    assert np.array_equal(out.alpha, alpha)
    assert out.icc == b"a profile"


def test_a_picture_without_a_face_says_so_in_one_line(pipe: ReliableSwapPipeline) -> None:
    empty = Picture(np.full((200, 300, 3), 90, np.uint8), name="wall.png")
    for source, target in ((empty, portrait(1)), (portrait(1), empty)):
        with pytest.raises(NoFaceError, match=r"no face found in wall\.png \(300x200") as error:
            pipe(source, target)
        assert "\n" not in str(error.value)


def test_choices_that_make_no_sense_are_refused(pipe: ReliableSwapPipeline) -> None:
    target = portrait(2)
    with pytest.raises(NoFaceError, match="no face 7; it has only face 0"):
        pipe(portrait(1), target, faces=[7])
    with pytest.raises(ReliableSwapError, match="'biggest' is not valid"):
        pipe(portrait(1), target, faces="biggest")  # type: ignore[arg-type]
    with pytest.raises(ReliableSwapError, match="at least one number"):
        pipe(portrait(1), target, faces=[])
    with pytest.raises(ReliableSwapError, match="no source for face 0"):
        pipe(None, target)
    with pytest.raises(ReliableSwapError, match="unknown engine 'magic'"):
        pipe(portrait(1), target, engine="magic")  # type: ignore[arg-type]
    with pytest.raises(ReliableSwapError, match="likeness"):
        pipe(portrait(1), target, likeness=2.0)
    without = ReliableSwapPipeline(pipe.detector, pipe.landmarks)
    assert without.choose_engine("auto") == "blend"
    with pytest.raises(WeightsError, match="this pipeline has none"):
        without(portrait(1), target, engine="neural")


@pytest.mark.slow
def test_in_bfloat16_it_loads_and_swaps_and_is_not_saved(tmp_path: Path) -> None:
    for name in ("torch_dtype", "dtype"):
        rounded = ReliableSwapPipeline.bundled(**{name: torch.bfloat16})
        assert rounded.generator is not None
        assert next(rounded.generator.parameters()).dtype == torch.bfloat16
    assert rounded(portrait(1), portrait(2)).report.engine == "neural"
    with pytest.raises(WeightsError, match="load it again in float32 or float16"):
        rounded.save_pretrained(tmp_path / "rounded")
    with pytest.raises(WeightsError, match="weights that were in bfloat16 stay rounded"):
        rounded.to(torch.float32).save_pretrained(tmp_path / "rounded")
    assert not (tmp_path / "rounded").exists()
    half = ReliableSwapPipeline.bundled(torch_dtype=torch.float16)
    half.save_pretrained(tmp_path / "half")
    assert ReliableSwapPipeline.from_pretrained(tmp_path / "half").generator is not None
    index = (tmp_path / "half" / "model_index.json").read_text()
    assert "_name_or_path" not in index  # it would name a folder of this machine
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    ReliableSwapPipeline.bundled()
    assert not logging.is_progress_bar_enabled()
    if shown:
        logging.enable_progress_bar()


@pytest.fixture(scope="module")
def small() -> dict[str, torch.nn.Module]:
    torch.manual_seed(0)
    identity = IdentityEncoder(body="mobilefacenet", embedding_size=128).eval()
    fixer = FixerNet(body="mobilefacenet").eval()
    return {"identity": identity, "fixer": fixer}


def generator_for(identity: IdentityEncoder, fixer: FixerNet | None) -> LightGenerator:
    torch.manual_seed(1)
    return LightGenerator(
        identity_dim=identity.config["embedding_size"],
        fixer_dim=fixer.config["embedding_size"] if fixer is not None else 0,
        identity_encoder=identity.label,
        identity_checksum=identity.checksum(),
    ).eval()


@pytest.mark.slow
@pytest.mark.parametrize("with_fixer", [True, False])
def test_a_pipeline_with_a_generator_saves_loads_and_swaps_the_same(
    pipe: ReliableSwapPipeline, small: dict[str, torch.nn.Module], with_fixer: bool, tmp_path: Path
) -> None:
    fixer = small["fixer"] if with_fixer else None
    generator = generator_for(small["identity"], fixer)  # type: ignore[arg-type]
    whole = ReliableSwapPipeline(pipe.detector, pipe.landmarks, small["identity"], fixer, generator)  # type: ignore[arg-type]
    whole.save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    assert index["generator"] == ["reliableswap.models", "LightGenerator"]
    assert not list(tmp_path.rglob("*.bin"))
    loaded = ReliableSwapPipeline.from_pretrained(tmp_path)
    assert (loaded.fixer is None) != with_fixer
    one, two = (p(portrait(1), portrait(2)) for p in (whole, loaded))
    assert one.report.engine == "neural"
    assert np.array_equal(np.asarray(one.images[0]), np.asarray(two.images[0]))
    entry = two.report.faces[0]
    # The encoder is untrained, so the cosines exist but mean nothing.
    for cosine in (entry.identity_before, entry.identity_after):
        assert cosine is not None
        assert -1.001 <= cosine <= 1.001
    changed = (np.asarray(two.images[0]) != portrait(2)).any(2)
    assert 0.02 < changed.mean() < 0.9


def test_another_encoder_than_the_generators_is_refused(
    pipe: ReliableSwapPipeline, small: dict[str, torch.nn.Module]
) -> None:
    generator = generator_for(small["identity"], None)  # type: ignore[arg-type]
    torch.manual_seed(5)
    other = IdentityEncoder(body="mobilefacenet", embedding_size=128).eval()
    with pytest.raises(WeightsError) as error:
        ReliableSwapPipeline(pipe.detector, pipe.landmarks, other, None, generator)
    assert other.checksum() in str(error.value)
    assert generator.config["identity_checksum"] in str(error.value)
    with pytest.raises(WeightsError, match="without its identity encoder"):
        ReliableSwapPipeline(pipe.detector, pipe.landmarks, None, None, generator)


def test_any_analyser_that_follows_the_protocol_can_be_set(pipe: ReliableSwapPipeline) -> None:
    class OneFace:
        name = "mine"

        def __init__(self, inner: FaceAnalyser) -> None:
            self.inner = inner

        def __call__(self, image: np.ndarray) -> list:
            return self.inner(image)[:1]

    other = ReliableSwapPipeline(pipe.detector, pipe.landmarks)
    other.analyser = OneFace(pipe.analyser)
    assert isinstance(other.analyser, FaceAnalyser)
    assert other(portrait(1), portrait(2)).report.analyser == "mine"


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["blend", "neural"])
def test_in_a_black_and_white_photo_the_face_has_no_colours(pipe: ReliableSwapPipeline, engine: str) -> None:
    grey = cv2.cvtColor(portrait(2, 300), cv2.COLOR_RGB2GRAY)
    for tint in ((0, 0, 0), (12, 0, -12)):
        old = np.clip(grey[..., None].astype(int) + tint, 0, 255).astype(np.uint8)
        made = pipe(portrait(1, 300), old, engine=engine).pictures[0].pixels  # type: ignore[arg-type]
        changed = (np.abs(made[..., 1].astype(int) - grey) > 8) & (
            np.abs(made[..., 1].astype(int) - 128) < 100
        )
        assert changed.sum() > 1000
        assert np.abs(made[changed].astype(int) - made[changed][:, 1:2] - tint).max() <= 2
        assert np.array_equal(made[0], old[0])
    in_colour = pipe(portrait(1, 300), portrait(2, 300), engine=engine).pictures[0].pixels  # type: ignore[arg-type]
    assert np.ptp(in_colour[changed].astype(int), axis=1).mean() > 20


@pytest.mark.slow
def test_settings_and_single_values_mean_the_same_and_exclude_each_other(pipe: ReliableSwapPipeline) -> None:
    plain = pipe(portrait(1), portrait(2), likeness=0.5).images[0]
    same = pipe(portrait(1), portrait(2), settings=SwapSettings(likeness=0.5)).images[0]
    with pytest.raises(ReliableSwapError, match="settings= and likeness= were both given"):
        pipe(portrait(1), portrait(2), settings=SwapSettings(), likeness=0.5)
    assert np.array_equal(np.asarray(plain), np.asarray(same))


def test_the_mesh_barely_moves_under_noise(pipe: ReliableSwapPipeline, rng: np.random.Generator) -> None:
    assert isinstance(pipe.landmarks, MeshNet)
    image = portrait(6, 300)
    meshes = [
        pipe.find(np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8))[0].mesh
        for _ in range(4)
    ]
    stack = np.stack([m for m in meshes if m is not None])
    unit = np.linalg.norm(stack[0][33] - stack[0][263])
    assert np.linalg.norm(stack - stack.mean(0), axis=-1).mean() < 0.015 * unit


def test_the_card_holds_what_was_measured_and_goes_to_the_hub_with_the_networks(
    pipe: ReliableSwapPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe.save_pretrained(tmp_path / "plain")
    assert "has not been measured yet" in (tmp_path / "plain" / "README.md").read_text()
    sent: dict[str, object] = {}

    class Hub:
        def __init__(self, token: str | None = None) -> None:
            sent["token"] = token

        def create_repo(self, repo_id: str, **_: object) -> object:
            return type("Repo", (), {"repo_id": f"me/{repo_id}"})

        def upload_folder(self, repo_id: str, folder_path: Path, **_: object) -> None:
            sent["repo"] = repo_id
            sent["card"] = (folder_path / "README.md").read_text()
            sent["files"] = sorted(p.suffix for p in folder_path.rglob("*") if p.is_file())

    monkeypatch.setattr("reliableswap.pipelines.stored.HfApi", Hub)
    pipe.push_to_hub("swapper", token="secret", figures={"identity top-1": 0.5})
    assert sent["repo"] == "me/swapper"
    assert "| identity top-1 | 0.5 |" in str(sent["card"])
    assert f"{pipe.landmarks.parameter_count:,}" in str(sent["card"])
    assert "secret" not in str(sent["card"])
    assert set(sent["files"]) == {".json", ".md", ".safetensors"}  # type: ignore[call-overload]
