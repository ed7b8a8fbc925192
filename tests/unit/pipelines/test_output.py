"""What a swap returns."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from reliableswap.errors import ReliableSwapError
from reliableswap.media import Picture
from reliableswap.pipelines.output import SwapOutput, as_images

PICTURES = [Picture(np.full((2, 3, 3), level, np.uint8), name="p") for level in (0, 255)]


def test_fields_by_name_and_position_as_in_diffusers_outputs() -> None:
    output = SwapOutput(images=[], pictures=PICTURES, reports=[])
    assert output["pictures"] is output[1] is PICTURES
    assert output[:2] == ([], PICTURES)
    assert len(output.to_tuple()) == 4


def test_arrays_and_tensors_hold_the_same_values() -> None:
    arrays, tensors = as_images(PICTURES, "np"), as_images(PICTURES, "pt")
    assert arrays.shape == (2, 2, 3, 3)
    assert tensors.shape == (2, 3, 2, 3)
    assert (arrays[1] == 1).all()
    assert (tensors[1] == 1).all()


@pytest.mark.parametrize("index", [-1, 2])
def test_saving_a_nonexistent_result_is_an_error(index: int, tmp_path: Path) -> None:
    output = SwapOutput(images=[], pictures=PICTURES, reports=[])
    with pytest.raises(ReliableSwapError, match=f"no result {index}; there are 2"):
        output.save(tmp_path / "a.png", index)


def test_tensors_without_torch_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ReliableSwapError, match="needs torch"):
        as_images(PICTURES, "pt")
