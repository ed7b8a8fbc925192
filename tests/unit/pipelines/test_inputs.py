"""What a pipeline takes: pairs of sources and targets, choices of faces, tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reliableswap.errors import NoFaceError, ReliableSwapError
from reliableswap.pipelines.inputs import as_list, assign, pairs, to_picture


def test_assign_gives_each_face_its_source() -> None:
    assert assign("a", "largest", 3, "x") == {0: "a"}
    assert assign("a", "all", 2, "x") == {0: "a", 1: "a"}
    assert assign("a", 1, 2, "x") == {1: "a"}
    assert assign(None, {1: "b"}, 2, "x") == {1: "b"}
    assert assign("a", np.array([1, 0]), 2, "x") == {1: "a", 0: "a"}
    assert assign("a", np.int64(1), 2, "x") == {1: "a"}


def test_a_nonexistent_face_is_refused() -> None:
    with pytest.raises(NoFaceError, match="faces 0 to 1"):
        assign("a", [-1], 2, "x")


@pytest.mark.parametrize("odd", [None, 0.5, [0.5], True, ["0"], {"0": "b"}])
def test_faces_that_are_not_integers_are_refused(odd: object) -> None:
    with pytest.raises(ReliableSwapError, match="is not valid"):
        assign("a", odd, 2, "x")  # type: ignore[arg-type]


def test_one_source_goes_to_all_targets_and_several_pair_up() -> None:
    assert pairs("a", "t") == [("a", "t")]
    assert pairs("a", ["t", "u"]) == [("a", "t"), ("a", "u")]
    assert pairs(["a", "b"], ["t", "u"]) == [("a", "t"), ("b", "u")]
    with pytest.raises(ReliableSwapError, match=r"2 sources and 1 targets do not pair up"):
        pairs(["a", "b"], "t")
    with pytest.raises(ReliableSwapError, match="empty list"):
        pairs("a", [])


def test_batches_are_lists_of_pictures() -> None:
    assert len(as_list(torch.zeros(3, 3, 8, 8))) == 3
    assert len(as_list(np.zeros((2, 8, 8, 3), np.uint8))) == 2
    assert len(as_list(torch.zeros(3, 8, 8))) == 1


def test_tensors_are_pictures() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    eight = torch.from_numpy(pixels).permute(2, 0, 1)
    for tensor in (eight, eight.float() / 255, eight.double() / 255):
        assert np.array_equal(to_picture(tensor).pixels, pixels)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.zeros(4, 8, 8), r"shape \(4, 8, 8\); pass \(3, H, W\)"),
        (torch.full((3, 8, 8), 2.0), r"values from 2 to 2; pass floats in \[0, 1\]"),
        (torch.full((3, 8, 8), float("nan")), "pass floats"),
    ],
)
def test_other_tensors_are_refused_in_one_line(tensor: torch.Tensor, message: str) -> None:
    with pytest.raises(ReliableSwapError, match=message):
        to_picture(tensor)
