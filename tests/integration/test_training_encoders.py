"""Training the two encoders: crops and teachers kept, samples that repeat, losses that mean what they say."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.people import person

sys.path.insert(0, str(Path(__file__).parents[2]))
import train_accelerate
from reliableswap.data import crops as crops_module
from reliableswap.data.crops import CROP, Crops, crops_of_photos, crops_of_triplets
from reliableswap.data.photos import split_of, stands_last
from reliableswap.data.storage import encode_picture
from reliableswap.errors import ReliableSwapError
from reliableswap.faces.align import FIXER_WINDOW, IDENTITY_WINDOW, TEMPLATES
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.models.fixer import FixerNet
from reliableswap.models.identity import IdentityEncoder
from reliableswap.training.tasks.encoders.common import WHOLE, Pool, Samples, seen, teacher_features, three
from reliableswap.training.tasks.encoders.fixer import (
    FixerSettings,
    FixerTask,
    MarginHead,
    student,
    window_kernel,
)
from reliableswap.training.tasks.encoders.identity import IdentitySettings, IdentityTask, relation_loss
from reliableswap.training.tasks.encoders.verification import best_threshold, draw_pairs, verification
from reliableswap.training.tasks.faces.teachers import held_out
from reliableswap.triplets.encode import EncoderChoice

SHARES = (90.0, 5.0, 5.0)


def learns(name: str) -> bool:
    return split_of(name, SHARES) == "train" and not held_out(f"{name}/1.jpg")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people to learn from and two held out, with two photos each; one more photo shows nobody."""
    folder = tmp_path_factory.mktemp("faces")
    names = [f"person{i}" for i in range(200)]
    chosen = [n for n in names if learns(n)][:3] + [n for n in names if not learns(n)][:2]
    for number, name in enumerate(chosen, start=1):
        (folder / name).mkdir()
        for picture in ("studio_portrait", "amateur_selfie"):
            image = cv2.imread(str(person(number, picture)))
            scale = 300 / max(image.shape[:2])
            small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(folder / name / f"{picture}.jpg"), small)
    cv2.imwrite(str(folder / chosen[0] / "wall.png"), np.full((200, 200, 3), 90, np.uint8))
    return folder


@pytest.fixture(scope="module")
def crops(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Crops:
    return crops_of_photos(photos, tmp_path_factory.mktemp("kept") / "crops.npy", (), SHARES, workers=1)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    torch.manual_seed(0)
    IdentityEncoder(embedding_size=16, name="teacher").eval().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def features(crops: Crops, teacher: Path) -> np.ndarray:
    return teacher_features(crops, EncoderChoice(teacher), workers=1)


def command(kind: str, photos: Path, crops: Crops, teacher: Path, output: Path, *more: str) -> list[str]:
    return [
        *(kind, "--faces", str(photos), "--crops", str(crops.file), "--teacher", str(teacher)),
        *("--output_dir", str(output), "--train_batch_size", "4", "--max_train_steps", "2"),
        *("--dataloader_num_workers", "0", "--logging_steps", "1", "--mixed_precision", "no"),
        *("--validation_pairs", "8", *more),
    ]


def test_crops_are_aligned_faces_and_held_out_people_are_whole(crops: Crops, photos: Path) -> None:
    assert crops.found.sum() == 10
    assert not crops.found[[one.name == "wall.png" for one in crops_module.list_photos(photos)]].any()
    people = [{crops.shown[i].person for i in crops.rows(training)} for training in (True, False)]
    assert [len(p) for p in people] == [3, 2]
    assert not people[0] & people[1]
    analyser = BundledAnalyser()
    for row in crops.rows(True)[:2]:  # aligned: seen again, the five points lie where the template has them
        again = cv2.copyMakeBorder(np.array(crops.pixels[row]), *[32] * 4, cv2.BORDER_REPLICATE)
        off = analyser(again)[0].points5 - 32 - TEMPLATES["arcface_128"].at(CROP)
        assert np.abs(off).max() < 6


def test_the_cache_is_read_again_and_made_anew_when_a_photo_changes(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []

    def look(maker: object, units: list[tuple[int, list[object]]], workers: int):  # type: ignore[no-untyped-def]
        looked.append(len(units))
        for start, some in units:
            yield [(start + k, np.full((CROP, CROP, 3), k, np.uint8)) for k in range(len(some))]

    monkeypatch.setattr(crops_module, "make_all", look)
    table = tmp_path / "table.csv"
    names = sorted(str(p) for p in photos.rglob("*.jpg"))
    table.write_text("path,identity\n" + "".join(f"{n},{Path(n).parent.name}\n" for n in names[:4]))
    cache = tmp_path / "crops.npy"
    first = crops_of_photos(table, cache, (), SHARES, 1)
    again = crops_of_photos(table, cache, (), SHARES, 1)
    assert len(looked) == 1
    assert np.array_equal(first.pixels, again.pixels)
    table.write_text("path,identity\n" + "".join(f"{n},{Path(n).parent.name}\n" for n in names[:5]))
    assert len(crops_of_photos(table, cache, (), SHARES, 1).shown) == 5
    assert len(looked) == 2
    cache.with_suffix(".json").unlink()  # as a run leaves it that was killed halfway
    crops_of_photos(table, cache, (), SHARES, 1)
    assert len(looked) == 3


def test_a_table_says_whose_photos_are_held_out(photos: Path, tmp_path: Path) -> None:
    found = sorted(photos.rglob("*.jpg"))[:4] or sorted(photos.rglob("*.png"))[:4]
    out = next(f"p{i}" for i in range(100) if stands_last(f"p{i}", 10))
    kept = next(
        f"p{i}" for i in range(100) if not stands_last(f"p{i}", 10) and split_of(f"p{i}", SHARES) == "train"
    )
    table = tmp_path / "photos.csv"
    rows = [f"{path.resolve()},{out if i % 2 else kept}" for i, path in enumerate(found)]
    table.write_text("path,identity\n" + "\n".join(rows))
    crops = crops_of_photos(table, tmp_path / "crops.npy", [], SHARES, 1)
    assert {one.person: one.training for one in crops.shown} == {out: False, kept: True}


def test_another_process_maps_the_crops_and_does_not_copy_them(crops: Crops) -> None:
    assert crops.pixels is not None
    sent = pickle.dumps(crops)
    assert len(sent) < 10_000 < crops.pixels.nbytes
    assert np.array_equal(pickle.loads(sent).pixels, crops.pixels)


def test_photos_of_flat_folders_are_nobodys_second_photo(tmp_path: Path) -> None:
    shown = [crops_module.Shown("00012", True, True)] * 2 + [crops_module.Shown("lfw/x", True, False)] * 2
    twins = Crops(tmp_path / "none.npy", shown, np.ones(4, bool), "")
    assert twins.people(range(4)) == {"lfw/x": [2, 3]}


def test_the_teacher_is_asked_once(crops: Crops, teacher: Path, features: np.ndarray) -> None:
    assert np.allclose(np.linalg.norm(features[crops.found], axis=1), 1, atol=1e-5)
    assert not features[~crops.found].any()
    (kept,) = crops.file.parent.glob("crops-*.npy")
    before = kept.stat().st_mtime_ns
    assert np.array_equal(teacher_features(crops, EncoderChoice(teacher), 1), features)
    assert kept.stat().st_mtime_ns == before


def test_samples_follow_from_seed_and_position(crops: Crops, features: np.ndarray) -> None:
    def samples(seed: int) -> Samples:
        pool = Pool(crops, crops.rows(True), features)
        return Samples([pool], [1.0], IDENTITY_WINDOW, IdentitySettings(seed=seed))

    one, same, other = samples(3), samples(3), samples(4)
    for i in (0, 7, 10**9):
        assert torch.equal(one[i]["image"], same[i]["image"])
        assert torch.equal(one[i]["features"], same[i]["features"])
    assert any(not torch.equal(one[i]["image"], other[i]["image"]) for i in range(4))
    assert one[0]["image"].shape == (112, 112, 3)
    drawn = {one[i]["features"].numpy().tobytes() for i in range(80)}
    assert drawn == {features[row].tobytes() for row in crops.rows(True)}  # all of them, and nobody held out


def test_a_person_counts_by_the_root_of_their_photos(tmp_path: Path) -> None:
    shown = [crops_module.Shown("often", True, False)] * 16 + [crops_module.Shown("once", True, False)]
    pool = Pool(Crops(tmp_path / "none.npy", shown, np.ones(17, bool), ""), np.arange(17))
    rng = np.random.default_rng(0)
    often = np.mean([pool.draw(rng) < 16 for _ in range(2000)])
    assert often == pytest.approx(4 / 5, abs=0.03)


def test_a_clean_view_is_the_window_itself_and_others_are_not(rng: np.random.Generator) -> None:
    crop = cv2.GaussianBlur(rng.integers(0, 256, (CROP, CROP, 3), np.uint8), (0, 0), 3)
    assert np.array_equal(seen(crop, FIXER_WINDOW, rng, 0.0), crop[FIXER_WINDOW])
    for window, shape in ((FIXER_WINDOW, (56, 56, 3)), (IDENTITY_WINDOW, (112, 112, 3)), (WHOLE, crop.shape)):
        view = seen(crop, window, rng, 1.0)
        assert view.shape == shape
        assert not np.array_equal(view, crop[window])


def test_misaligned_views_stay_over_their_window() -> None:
    """A bright spot in the middle of the fixer's window stays near the middle of what is seen of it."""
    rows, columns = FIXER_WINDOW
    crop = np.zeros((CROP, CROP, 3), np.uint8)
    y, x = (rows.start + rows.stop - 1) / 2, (columns.start + columns.stop - 1) / 2
    cv2.circle(crop, (round(x), round(y)), 4, (255, 255, 255), -1)
    moved = []
    for seed in range(60):
        grey = seen(crop, FIXER_WINDOW, np.random.default_rng(seed), 1.0).mean(2)
        bright = grey > (grey.min() + grey.max()) / 2
        moved.append(np.argwhere(bright).mean(0) - 27.5)
    assert np.abs(np.mean(moved, 0)).max() < 1.0
    assert 0.7 < np.std(moved, 0).mean() < 3.0


def test_verification_is_told_from_other_folds_and_chance_is_a_half(rng: np.random.Generator) -> None:
    same = np.arange(400) % 2 == 0
    assert verification(np.where(same, 0.7, 0.2) + rng.normal(0, 0.01, 400), same) == 1.0
    assert verification(rng.random(400), same) == pytest.approx(0.5, abs=0.08)
    spread = np.where(same, 1.0, -1.0) + rng.normal(0, 1, 400)
    assert verification(spread, same) == pytest.approx(
        0.841, abs=0.05
    )  # the normal distribution at one sigma
    assert best_threshold(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True])) == 0.5


def test_pairs_are_what_they_say(crops: Crops) -> None:
    pairs = draw_pairs(crops, crops.rows(False), 100)
    people = np.array([crops.shown[i].person for i in pairs.rows])
    assert np.array_equal(people[pairs.left] == people[pairs.right], pairs.same)
    assert (pairs.rows[pairs.left] != pairs.rows[pairs.right]).all()
    assert pairs.same.mean() == 0.5
    with pytest.raises(ReliableSwapError, match="1 of the held-out people"):
        draw_pairs(crops, crops.rows(False)[:2], 100)


def test_relation_is_zero_for_turned_vectors_and_finite_alone(rng: np.random.Generator) -> None:
    wanted = F.normalize(torch.from_numpy(rng.normal(size=(6, 4))), dim=1)
    turn, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    assert float(relation_loss(wanted @ torch.from_numpy(turn), wanted)) < 1e-12
    other = wanted.roll(1, 0)
    expected = ((other @ other.T - wanted @ wanted.T)[~torch.eye(6, dtype=torch.bool)] ** 2).mean()
    assert float(relation_loss(other, wanted)) == pytest.approx(float(expected))
    assert float(relation_loss(wanted[:1], wanted[:1])) == 0.0


def test_the_margin_is_added_to_the_angle() -> None:
    head = MarginHead(2, 2, scale=8.0)
    with torch.no_grad():
        head.centres.copy_(torch.eye(2))
    angle = torch.tensor(0.3)
    vector = torch.stack([angle.cos(), angle.sin()])[None]
    for margin in (0.0, 0.5):
        logits = 8 * torch.stack([(angle + margin).cos(), angle.sin()])
        assert float(head(vector, torch.tensor([0]), margin).detach()) == pytest.approx(
            float(F.cross_entropy(logits[None], torch.tensor([0]))), rel=1e-5
        )


def test_a_wider_angle_never_lowers_the_margin_loss() -> None:
    head = MarginHead(2, 2, scale=4.0)
    with torch.no_grad():
        head.centres.copy_(torch.tensor([[1.0, 0.0], [0.0, -1.0]]))
    angles = torch.linspace(0.01, np.pi - 0.01, 60)
    vectors = torch.stack([angles.cos(), angles.sin()], 1)
    found = []
    for vector in vectors:
        loss = head(vector[None], torch.tensor([0]), 0.5)
        # Of two people the loss is log(1 + exp(other - own)): the other's logit is known, so own's follows.
        found.append(-4 * float(vector[1]) - float(torch.log(torch.expm1(loss.detach()))))
    assert (np.diff(found) < 0).all()


def test_people_with_one_photo_have_no_say_in_the_margin() -> None:
    torch.manual_seed(0)
    head = MarginHead(8, 5, scale=64.0)
    vectors = F.normalize(torch.randn(4, 8), dim=1).requires_grad_()
    loss = head(vectors, torch.tensor([2, -1, 0, -1]), 0.5)
    loss.backward()
    assert vectors.grad is not None
    assert head.centres.grad is not None
    assert vectors.grad[[1, 3]].abs().max() == 0
    assert vectors.grad[[0, 2]].abs().amin(0).max() > 0
    assert torch.isfinite(head.centres.grad).all()
    assert float(head(vectors, torch.full((4,), -1), 0.5).detach()) == 0.0
    exact = F.normalize(head.centres.detach(), dim=1)[:1].requires_grad_()
    head(exact, torch.tensor([0]), 0.5).backward()
    assert torch.isfinite(exact.grad).all()  # at an angle of zero the arc cosine has no slope


def batch_of(task: IdentityTask | FixerTask, size: int = 6) -> dict[str, torch.Tensor]:
    batch: dict[str, torch.Tensor] = torch.utils.data.default_collate([task.dataset[i] for i in range(size)])
    return batch


@pytest.mark.parametrize("kind", ["cosine", "relation"])
def test_each_identity_loss_moves_the_network(crops: Crops, features: np.ndarray, kind: str) -> None:
    network = IdentityEncoder(embedding_size=16)
    task = IdentityTask(IdentitySettings(), crops, features)
    batch = batch_of(task)
    before = {name: value.clone() for name, value in batch.items()}
    task.losses(network, batch)[kind].backward()
    first = network.trunk.conv1[0].weight.grad
    assert torch.isfinite(first).all()
    assert first.abs().max() > 0
    assert all(torch.equal(before[name], batch[name]) for name in before)


@pytest.mark.parametrize("kind", ["margin", "distil", "relation"])
def test_each_fixer_loss_moves_the_network(crops: Crops, features: np.ndarray, kind: str) -> None:
    network = FixerNet(embedding_size=16)
    task = FixerTask(FixerSettings(embedding_size=16), crops, features)
    task.losses(network, batch_of(task))[kind].backward()
    first = network.trunk.conv1[0].weight.grad
    assert torch.isfinite(first).all()
    assert first.abs().max() > 0
    moved = task.companions["head"].centres.grad
    assert (moved is not None and bool(moved.abs().max() > 0)) == (kind == "margin")


def test_a_fixer_of_any_length_learns_a_cosine(crops: Crops, features: np.ndarray) -> None:
    settings = FixerSettings(embedding_size=16, margin_weight=0, relation_weight=0)
    task = FixerTask(settings, crops, features)
    batch = batch_of(task)
    wanted = batch["features"]
    for length in (1.0, 5.0):
        answer = torch.nn.Module()
        answer.forward = lambda _, length=length: length * wanted  # type: ignore[method-assign]
        assert abs(float(task.losses(answer, batch)["distil"])) < 1e-3


def test_margin_alone_and_distillation_alone(crops: Crops, features: np.ndarray) -> None:
    alone = FixerTask(FixerSettings(embedding_size=16, distil_weight=0), crops, None)
    assert set(alone.losses(FixerNet(embedding_size=16), batch_of(alone))) == {"margin"}
    labels = {int(alone.dataset[i]["label"]) for i in range(60)}
    assert labels == {0, 1, 2}
    told = FixerTask(FixerSettings(embedding_size=16, margin_weight=0), crops, features)
    assert set(told.losses(FixerNet(embedding_size=16), batch_of(told))) == {"distil", "relation"}
    assert not told.companions
    assert "teacher_accuracy_window" not in alone.teacher_figures


def test_the_margin_grows(crops: Crops) -> None:
    task = FixerTask(FixerSettings(embedding_size=16, margin_warmup_steps=100), crops, None)
    margins = []
    for step in (0, 50, 100, 5000):
        task.start(step, torch.device("cpu"))
        margins.append(task.margin)
    assert margins == [0.0, 0.25, 0.5, 0.5]


def test_a_fixer_begins_as_the_identity_encoder_sees_the_window(teacher: Path) -> None:
    kernel = torch.arange(49.0).reshape(1, 1, 7, 7)  # linear, so that values between its cells are known
    found = window_kernel(kernel, 4)[0, 0]
    assert float(found[0, 0]) == pytest.approx(3.5 * 7 + 1.75)
    assert float(found[2, 3]) == pytest.approx(5.5 * 7 + 4.75)
    assert float(found[3, 0]) == pytest.approx(6 * 7 + 1.75)  # the last row has no cell below it
    network = student(FixerSettings(embedding_size=16, initial=teacher))
    first = IdentityEncoder.from_pretrained(teacher)
    assert torch.equal(network.trunk.conv2[0].weight, first.trunk.conv2[0].weight)
    # Far from the borders both see the same at the same place: cell 5 of the window's rows is 8.5 of the crop's.
    crop = torch.rand(1, 3, 112, 112) * 2 - 1
    network.eval(), first.eval()
    with torch.inference_mode():
        inner = network.trunk.conv1(crop[:, :, 56:, 28:84])
        outer = first.trunk.conv1(crop)[:, :, 28:, 14:42]
    assert torch.allclose(inner[:, :, 2:-2, 2:-2], outer[:, :, 2:-2, 2:-2], atol=1e-5)


def test_surrogates_come_without_those_of_held_out_people(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def picture(value: int) -> dict[str, bytes]:
        return {"bytes": encode_picture(np.full((64, 64, 3), value, np.uint8), "png")}

    rows = [("ann", "ben", 10, 20), ("ann", "cat", 30, 40), ("ben", "dan", 50, 60)]
    (tmp_path / "data").mkdir()
    for shard, some in enumerate((rows[:2], rows[2:])):
        table = [
            {"identity_a": a, "identity_b": b, "c_ab": picture(ab), "c_ba": picture(ba)}
            for a, b, ab, ba in some
        ]
        pq.write_table(pa.Table.from_pylist(table), tmp_path / "data" / f"train-{shard:05d}-of-00002.parquet")
    made = crops_of_triplets(tmp_path, tmp_path / "kept.npy", {"cat"})
    assert made.pixels[:, 0, 0, 0].tolist() == [10, 20, 30, 40, 50, 60]
    assert made.rows(True).tolist() == [0, 1, 4, 5]
    with pytest.raises(ReliableSwapError, match="no shards"):
        crops_of_triplets(tmp_path / "data", tmp_path / "kept.npy", set())


def test_identity_from_nothing_to_a_folder_that_loads(
    photos: Path, crops: Crops, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--initial", str(teacher), "--name", "ours")
    assert train_accelerate.main(command("identity", photos, crops, teacher, tmp_path / "out", *more)) == 0
    network = IdentityEncoder.from_pretrained(tmp_path / "out")
    start = IdentityEncoder.from_pretrained(teacher).state_dict()
    means = [name for name in start if name.endswith("running_mean")]
    assert means, "a body with batch norms"
    assert all(not torch.equal(start[name], network.state_dict()[name]) for name in means)
    assert network.label == "ours"
    assert network.checksum() != IdentityEncoder.from_pretrained(teacher).checksum()
    said = capsys.readouterr().err
    assert "10 of 11 photos show a face" in said
    assert "held out: 4 photos of 2 people" in said
    for figure in ("accuracy ", "accuracy_worse", "cosine ", "teacher_accuracy "):
        assert figure in said


def test_fixer_from_nothing_to_a_folder_that_loads(
    photos: Path, crops: Crops, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--embedding_size", "16")
    for name in ("out", "again"):
        torch.manual_seed(len(name))  # what was drawn before says nothing
        assert train_accelerate.main(command("fixer", photos, crops, teacher, tmp_path / name, *more)) == 0
    network, again = (FixerNet.from_pretrained(tmp_path / name) for name in ("out", "again"))
    assert network.embedding_size == 16
    assert network.checksum() == again.checksum()
    assert "teacher_accuracy_window" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "more", "words"),
    [
        ("identity", ("--teacher", "nowhere.onnx"), "no identity encoder at nowhere.onnx"),
        ("identity", ("--teacher_mean", "0.5"), "is not three numbers"),
        ("fixer", ("--embedding_size", "32"), "--embedding_size 16"),
        ("fixer", ("--margin_weight", "0", "--distil_weight", "0"), "nothing else to learn from"),
    ],
)
def test_what_can_not_be_is_said_in_one_line(
    photos: Path,
    crops: Crops,
    teacher: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    more: tuple[str, ...],
    words: str,
) -> None:
    assert train_accelerate.main(command(kind, photos, crops, teacher, tmp_path / "out", *more)) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert words in last


def test_three_numbers() -> None:
    assert three("0.485,0.456, 0.406", "mean") == (0.485, 0.456, 0.406)
