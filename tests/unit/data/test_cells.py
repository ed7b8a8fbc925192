"""Pictures and meshes as shards store them."""

from __future__ import annotations

import numpy as np
import pytest
from support.triplet_people import aligned

from reliableswap.data.cells import decode_mesh, decode_picture, encode_mesh, encode_picture
from reliableswap.errors import ReliableSwapError
from reliableswap.provenance import read_mark


def test_meshes_and_pictures_come_back(rng: np.random.Generator) -> None:
    mesh = rng.uniform(-100, 900, (468, 3)).astype(np.float32)
    assert np.abs(decode_mesh(encode_mesh(mesh)) - mesh).max() <= 1 / 64 + 1e-4
    face = aligned(3).crop
    assert np.array_equal(decode_picture(encode_picture(face, "png")), face)
    error = decode_picture(encode_picture(face, "jpeg")).astype(int) - face
    assert np.abs(error).mean() < 2
    with pytest.raises(ReliableSwapError, match="can't be decoded"):
        decode_picture(b"nothing")


@pytest.mark.parametrize("form", ["jpeg", "png"])
def test_synthetic_pictures_carry_the_mark_and_keep_their_pixels(form: str) -> None:
    face = aligned(3).crop
    real, synthetic = (encode_picture(face, form, ai_made=made) for made in (False, True))
    assert read_mark(real) is None
    mark = read_mark(synthetic)
    assert mark is not None
    assert mark.ai_made
    assert np.array_equal(decode_picture(synthetic), decode_picture(real))
    assert encode_picture(face, form, ai_made=True) == synthetic
