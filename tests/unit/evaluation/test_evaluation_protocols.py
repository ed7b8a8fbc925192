"""Evaluation: which faces go into which photos, and who may judge."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from support import onnx_files
from support.evaluation_people import analyser, encoder, mesh_of
from support.people import person

from reliableswap.errors import ReliableSwapError, WeightsError
from reliableswap.evaluation.judges import identity as judge
from reliableswap.evaluation.metrics import frechet
from reliableswap.evaluation.protocols import pairs as protocols
from reliableswap.evaluation.protocols.shots import Pair
from reliableswap.faces.analysers.facemesh import FaceMesh, WithFaceMesh
from reliableswap.faces.face import Detection
from reliableswap.geometry import measures as geometry
from reliableswap.models.fixer import FixerNet

# Protocols


def test_pairs_follow_the_seed_and_never_join_a_person_with_themselves(portraits: Path) -> None:
    one, again, other = (protocols.make_pairs("identity-folders", portraits, 15, seed) for seed in (3, 3, 4))
    assert one == again
    assert one != other
    assert len({pair.name for pair in one}) == 15
    for pair in one:
        assert pair.source.person != pair.target.person
        assert pair.reference is not None
        assert pair.reference.person == pair.source.person
        assert pair.reference.path != pair.source.path
    first = one[:5]
    assert len({pair.target.person for pair in first}) == 5


def test_every_photo_is_a_person_in_ffhq(portraits: Path) -> None:
    pairs = protocols.make_pairs("ffhq", portraits, 90, 0)
    assert len({(p.source.path, p.target.path) for p in pairs}) == 90
    with pytest.raises(ReliableSwapError, match="at most 90"):
        protocols.make_pairs("ffhq", portraits, 91, 0)


def test_other_photos_are_those_that_no_result_is_made_of(portraits: Path) -> None:
    for seed in range(4):
        pairs = protocols.make_pairs("identity-folders", portraits, 3, seed)
        taken = {shot.path for pair in pairs for shot in (pair.source, pair.target)}
        found = protocols.other_photos("identity-folders", portraits, pairs, seed)
        assert found == protocols.other_photos("identity-folders", portraits, pairs, seed)
        assert len(found) == 3
        assert not taken & {shot.path for shot in found}
        assert len({shot.person for shot in found}) == 3  # of five people, taking turns
        assert all(shot.path.parent.name == shot.person for shot in found)
    pairs = protocols.make_pairs("ffhq", portraits, 4, 0)
    taken = {shot.path for pair in pairs for shot in (pair.source, pair.target)}
    found = protocols.other_photos("ffhq", portraits, pairs)
    assert len(found) == min(4, 10 - len(taken)) > 0
    assert protocols.other_photos("pairs", portraits, pairs) == []
    everybody = protocols.make_pairs("ffhq", portraits, 90, 0)
    assert protocols.other_photos("ffhq", portraits, everybody) == []


def test_celebahq_knows_people_by_its_lists(tmp_path: Path) -> None:
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}.jpg"), np.zeros((8, 8, 3), np.uint8))
    rows = ["idx orig_idx orig_file", *(f"{i} {i + 100} {i + 101:06d}.jpg" for i in range(4))]
    (tmp_path / "CelebA-HQ-to-CelebA-mapping.txt").write_text("\n".join(rows))
    with pytest.raises(ReliableSwapError, match=r"identity_CelebA.txt is missing"):
        protocols.make_pairs("celebahq", tmp_path, 2, 0)
    (tmp_path / "identity_CelebA.txt").write_text(
        "\n".join(f"{i + 101:06d}.jpg {7 + i // 2}" for i in range(4))
    )
    for seed in range(5):
        for pair in protocols.make_pairs("celebahq", tmp_path, 2, seed):
            assert {pair.source.person, pair.target.person} == {"7", "8"}


def test_a_pair_list_survives_being_written_and_read(portraits: Path, tmp_path: Path) -> None:
    pairs = protocols.make_pairs("identity-folders", portraits, 6, 0)
    table = portraits / "list.tsv"
    protocols.write_pairs(pairs, table)
    assert protocols.make_pairs("pairs", table, 100) == [
        Pair(p.name, p.source, p.target, p.reference) for p in pairs
    ]
    table.unlink()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("source\tgoal\nx\ty\n", "first line must name source and target"),
        ("source\ttarget\n", "lists no pairs"),
        ("source\ttarget\nnobody.png\tnobody.png\n", "line 2: there is no source"),
        ("source\ttarget\nx.png\t\n", "line 2 has no source or no target"),
        ("source\ttarget\tname\nx.png\tx.png\ta\nx.png\tx.png\ta\n", "two pairs are called a"),
    ],
)
def test_a_broken_pair_list_is_told_by_line(text: str, says: str, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "x.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "pairs.tsv").write_text(text)
    with pytest.raises(ReliableSwapError, match=says):
        protocols.make_pairs("pairs", tmp_path)


def test_layouts_say_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ReliableSwapError, match=r"original_sequences.youtube.c23.videos"):
        protocols.make_pairs("ffpp", tmp_path)
    (tmp_path / "original_sequences/youtube/c23/videos").mkdir(parents=True)
    with pytest.raises(ReliableSwapError, match=r"train\.json"):
        protocols.make_pairs("ffpp", tmp_path)
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits/test.json").write_text('[["071", "054"]]')
    with pytest.raises(ReliableSwapError, match=r"054\.mp4, which is missing"):
        protocols.make_pairs("ffpp", tmp_path)
    with pytest.raises(ReliableSwapError, match="no pictures below"):
        protocols.make_pairs("ffhq", tmp_path)
    cv2.imwrite(str(tmp_path / "x.png"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ReliableSwapError, match="PERSON/PHOTO"):
        protocols.make_pairs("identity-folders", tmp_path)
    with pytest.raises(ReliableSwapError, match="at least two people"):
        protocols.make_pairs("ffhq", tmp_path)


# Judges


def test_the_pipelines_own_encoder_is_no_judge() -> None:
    import copy

    own, other = encoder(0), encoder(1)
    mine, half = (
        judge.EncoderJudge(own, "mine"),
        judge.EncoderJudge(copy.deepcopy(own).half().float(), "half"),
    )
    rounded = judge.EncoderJudge(
        copy.deepcopy(own).bfloat16(), "rounded"
    )  # numpy does not know it, nor a GPU's
    assert not judge.same_encoder(rounded, judge.EncoderJudge(other, "other"))
    assert judge.same_encoder(mine, half)
    assert not judge.same_encoder(mine, judge.EncoderJudge(other, "other"))
    with pytest.raises(ReliableSwapError, match="--allow-same-judge"):
        judge.check_judges(half, None, {"pipe/neural": (own, None)})
    told = judge.check_judges(half, None, {"pipe/neural": (own, None)}, allow_same=True)
    assert told == ["the judge half is the identity encoder of pipe/neural"]
    assert judge.check_judges(half, None, {"a": (other, None), "b": (None, None)}) == []
    fixer = FixerNet(embedding_size=8)
    with pytest.raises(ReliableSwapError, match="FixerNet of pipe"):
        judge.check_judges(half, judge.FixerJudge(fixer, "chin"), {"pipe": (None, fixer)})


def test_an_onnx_judge_gets_pixels_as_it_was_told(tmp_path: Path) -> None:
    path = onnx_files.mean_colour(tmp_path / "mean.onnx", 112)
    face = analyser()(cv2.imread(str(person(1)), cv2.IMREAD_REDUCED_COLOR_8)[..., ::-1].copy())[0]
    image = np.full((400, 400, 3), (255, 128, 0), np.uint8)
    found = judge.open_judge(str(path), (0.5, 0.25, 0), (0.25, 1, 0.5)).embed(image, face)
    wanted = np.array([2.0, 128 / 255 - 0.25, 0.0])
    assert found == pytest.approx(wanted / np.linalg.norm(wanted), abs=1e-5)


def test_onnx_features_are_named_by_their_file(tmp_path: Path, rng: np.random.Generator) -> None:
    path = onnx_files.mean_colour(tmp_path / "inception_small.onnx", 299)
    features = frechet.features_of(str(path))
    assert frechet.label_of(features.name) == "FID"
    image = np.full((300, 300, 3), (0, 255, 51), np.uint8)
    points = np.array([[120, 120], [180, 120], [150, 150], [125, 180], [175, 180]], np.float32)
    face = Detection(np.array([100, 90, 200, 210], np.float32), points, 1.0)
    assert features(image, face) == pytest.approx([-1, 1, -0.6], abs=1e-3)


def test_wrong_judges_are_refused(tmp_path: Path) -> None:
    FixerNet(embedding_size=8).save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="a judge is an IdentityEncoder"):
        judge.open_judge(str(tmp_path))
    assert judge.open_lower_judge(str(tmp_path)).name == tmp_path.name
    with pytest.raises(WeightsError, match="there is no file"):
        judge.open_judge(str(tmp_path / "none.onnx"))


def test_another_mesh_reads_the_same_faces(tmp_path: Path) -> None:
    """A mesh that always answers the same places of its crop: in the photo they turn and grow with the face."""
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
