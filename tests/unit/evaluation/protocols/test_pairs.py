"""Which photos become pairs, by protocol."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation.protocols.pairs import make_pairs, unused_photos


def test_pairs_follow_the_seed(portraits: Path) -> None:
    one, again, other = (make_pairs("identity-folders", portraits, 15, seed) for seed in (3, 3, 4))
    assert one == again
    assert one != other
    assert len({pair.name for pair in one}) == 15


def test_nobody_is_paired_with_themselves_and_references_are_other_photos(portraits: Path) -> None:
    for pair in make_pairs("identity-folders", portraits, 15, 3):
        assert pair.source.person != pair.target.person
        assert pair.reference is not None
        assert pair.reference.person == pair.source.person
        assert pair.reference.path != pair.source.path


def test_everybody_is_a_target_once_before_anybody_is_twice(portraits: Path) -> None:
    first = make_pairs("identity-folders", portraits, 15, 3)[:5]
    assert len({pair.target.person for pair in first}) == 5


def test_every_photo_is_a_person_in_ffhq(portraits: Path) -> None:
    pairs = make_pairs("ffhq", portraits, 90, 0)
    assert len({(p.source.path, p.target.path) for p in pairs}) == 90
    with pytest.raises(ReliableSwapError, match="at most 90"):
        make_pairs("ffhq", portraits, 91, 0)


@pytest.mark.parametrize("seed", range(4))
def test_unused_photos_are_those_that_no_pair_uses(portraits: Path, seed: int) -> None:
    pairs = make_pairs("identity-folders", portraits, 3, seed)
    taken = {shot.path for pair in pairs for shot in (pair.source, pair.target)}
    found = unused_photos("identity-folders", portraits, pairs, seed)
    assert found == unused_photos("identity-folders", portraits, pairs, seed)
    assert len(found) == 3
    assert not taken & {shot.path for shot in found}
    assert len({shot.person for shot in found}) == 3  # of five people, taking turns
    assert all(shot.path.parent.name == shot.person for shot in found)


def test_unused_photos_are_at_most_as_many_as_there_are(portraits: Path) -> None:
    pairs = make_pairs("ffhq", portraits, 4, 0)
    taken = {shot.path for pair in pairs for shot in (pair.source, pair.target)}
    assert len(unused_photos("ffhq", portraits, pairs)) == min(4, 10 - len(taken)) > 0
    assert unused_photos("ffhq", portraits, make_pairs("ffhq", portraits, 90, 0)) == []


def test_a_list_of_pairs_has_no_unused_photos(portraits: Path) -> None:
    pairs = make_pairs("ffhq", portraits, 4, 0)
    assert unused_photos("pairs", portraits, pairs) == []


def test_celebahq_knows_people_by_its_lists(tmp_path: Path) -> None:
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}.jpg"), np.zeros((8, 8, 3), np.uint8))
    rows = ["idx orig_idx orig_file", *(f"{i} {i + 100} {i + 101:06d}.jpg" for i in range(4))]
    (tmp_path / "CelebA-HQ-to-CelebA-mapping.txt").write_text("\n".join(rows))
    with pytest.raises(ReliableSwapError, match=r"identity_CelebA.txt is missing"):
        make_pairs("celebahq", tmp_path, 2, 0)
    (tmp_path / "identity_CelebA.txt").write_text(
        "\n".join(f"{i + 101:06d}.jpg {7 + i // 2}" for i in range(4))
    )
    for seed in range(5):
        for pair in make_pairs("celebahq", tmp_path, 2, seed):
            assert {pair.source.person, pair.target.person} == {"7", "8"}


def test_ffpp_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ReliableSwapError, match=r"original_sequences.youtube.c23.videos"):
        make_pairs("ffpp", tmp_path)
    (tmp_path / "original_sequences/youtube/c23/videos").mkdir(parents=True)
    with pytest.raises(ReliableSwapError, match=r"train\.json"):
        make_pairs("ffpp", tmp_path)
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits/test.json").write_text('[["071", "054"]]')
    with pytest.raises(ReliableSwapError, match=r"054\.mp4, which is missing"):
        make_pairs("ffpp", tmp_path)


def test_a_folder_without_people_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ReliableSwapError, match="there is no folder"):
        make_pairs("ffhq", tmp_path / "nowhere")
    with pytest.raises(ReliableSwapError, match="no pictures in"):
        make_pairs("ffhq", tmp_path)
    cv2.imwrite(str(tmp_path / "x.png"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ReliableSwapError, match="PERSON/PHOTO"):
        make_pairs("identity-folders", tmp_path)
    with pytest.raises(ReliableSwapError, match="at least two people"):
        make_pairs("ffhq", tmp_path)


def test_unknown_protocols_and_no_pairs_are_refused(portraits: Path) -> None:
    with pytest.raises(ReliableSwapError, match="choose one of pairs, identity-folders"):
        make_pairs("lfw", portraits)
    with pytest.raises(ReliableSwapError, match="give at least 1"):
        make_pairs("ffhq", portraits, 0)
