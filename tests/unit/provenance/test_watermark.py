"""The invisible watermark: what it survives, what it costs, and what it leaves alone."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
import pytest
from support.people import portrait

from benchmarks.attacks import ATTACKS, cropped, filmed, recompressed, resized
from reliableswap.errors import PictureError
from reliableswap.provenance.watermark import Reading, default_watermark
from reliableswap.provenance.watermark.codec import encode

PAYLOAD = 0x1234ABCD
MARK = default_watermark()


def payload_of(reading: Reading | None) -> int | None:
    return reading.payload if reading else None


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return portrait(1, 512)


@pytest.fixture(scope="module")
def marked(photo: np.ndarray) -> np.ndarray:
    return MARK.embed(photo, PAYLOAD)


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_message_survives(attack: str, marked: np.ndarray) -> None:
    reading = MARK.read(ATTACKS[attack](marked))
    assert reading is not None
    assert reading.payload == PAYLOAD
    assert 0.5 < reading.confidence <= 1


@pytest.mark.parametrize("number", [3, 7])
def test_several_attacks_one_after_another(number: int) -> None:
    pixels = MARK.embed(portrait(number, 640, "amateur_selfie"), PAYLOAD)
    pixels = recompressed(cropped(resized(recompressed(pixels, "JPEG", 85), 0.8), 0.1), "WEBP", 80)
    assert payload_of(MARK.read(pixels)) == PAYLOAD


@pytest.mark.parametrize("scale", [0.3, 0.437, 0.61, 0.93, 1.17, 1.6, 2.5])
def test_any_scale_is_found(scale: float, marked: np.ndarray) -> None:
    assert payload_of(MARK.read(resized(marked, scale))) == PAYLOAD


def test_a_sheet_that_repeats_a_face_does_not_mislead_the_search() -> None:
    sheet = MARK.embed(portrait(3, 320, "emotions_sheet"), PAYLOAD)
    assert payload_of(MARK.read(resized(sheet, 0.75))) == PAYLOAD


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_are_read(turns: int, marked: np.ndarray) -> None:
    assert payload_of(MARK.read(np.rot90(marked, turns))) == PAYLOAD


def test_a_large_picture_is_read_after_strong_reduction() -> None:
    marked = MARK.embed(portrait(2, 2500, "amateur_selfie"), PAYLOAD)
    assert payload_of(MARK.read(recompressed(resized(marked, 0.27), "JPEG", 75))) == PAYLOAD


def test_one_frame_of_compressed_video_is_enough(marked: np.ndarray) -> None:
    pytest.importorskip("av")
    assert payload_of(MARK.read(filmed([marked] * 4, 23)[2])) == PAYLOAD


def test_frames_together_carry_a_message_that_one_does_not() -> None:
    rng = np.random.default_rng(0)
    photo = portrait(4, 300)
    frames = [
        np.clip(MARK.embed(photo, PAYLOAD) + rng.normal(0, 75, photo.shape), 0, 255).astype(np.uint8)
        for _ in range(12)
    ]
    assert MARK.read(frames[0]) is None
    assert payload_of(MARK.read_many(frames)) == PAYLOAD


def test_frames_of_a_moving_mark_are_read_one_by_one(marked: np.ndarray) -> None:
    frames = [np.roll(marked, (17 * i, 23 * i), (0, 1)) for i in range(8)]
    assert payload_of(MARK.read_many(frames)) == PAYLOAD


def test_frames_of_two_sizes_are_refused(marked: np.ndarray) -> None:
    with pytest.raises(PictureError, match="512x512 and 512x500"):
        MARK.read_many([marked, marked[:500]])


def test_no_frames_carry_no_message() -> None:
    assert MARK.read_many([]) is None


def test_the_mark_is_fainter_than_40_db(photo: np.ndarray, marked: np.ndarray) -> None:
    assert psnr(photo, marked) > 41.5
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    assert psnr(noise, MARK.embed(noise, PAYLOAD)) > 40


def test_texture_carries_more_than_plain_areas(photo: np.ndarray) -> None:
    plain = photo.copy()
    plain[:, :256] = 128
    change = np.abs(MARK.embed(plain, PAYLOAD).astype(int) - plain)
    assert change[:, 300:].mean() > 1.3 * change[:, :220].mean()


def test_plain_areas_of_a_large_picture_show_nothing_and_the_message_survives() -> None:
    photo = portrait(1, 1400).copy()
    noise = np.random.default_rng(0).normal(128, 1.5, (1400, 500, 1))
    photo[:, :500] = np.clip(noise, 0, 255).astype(np.uint8)  # even grey with a sensor's noise
    marked = MARK.embed(photo, PAYLOAD)
    change = marked[:, 40:460, 1].astype(np.float32) - photo[:, 40:460, 1]
    assert cv2.GaussianBlur(change, (0, 0), 1.5).std() < 0.5
    assert np.abs(change).max() <= 3
    assert payload_of(MARK.read(recompressed(marked, "JPEG", 60))) == PAYLOAD
    assert payload_of(MARK.read(resized(marked, 0.5))) == PAYLOAD


@pytest.mark.parametrize("shape", [(180, 180), (480, 640)])
def test_plain_areas_of_a_small_picture_show_next_to_nothing(shape: tuple[int, int]) -> None:
    plain = np.full((*shape, 3), 128, np.uint8)
    change = MARK.embed(plain, PAYLOAD).astype(int) - 128
    assert np.abs(change).max() <= 2
    assert 0.05 < np.mean(change[..., 0] ** 2) < 0.36


def test_faces_carry_more(photo: np.ndarray, marked: np.ndarray) -> None:
    boxed = MARK.embed(photo, PAYLOAD, [np.array([150.0, 100.0, 350.0, 380.0])])
    inside = np.s_[130:350, 180:320]
    before, after = (np.abs(pixels.astype(int) - photo) for pixels in (marked, boxed))
    assert after[inside].mean() > 1.03 * before[inside].mean()
    assert after[:, :100].mean() < before[:, :100].mean()
    assert psnr(photo, boxed) > 41.5


def test_a_box_beyond_the_picture_is_cut(photo: np.ndarray) -> None:
    assert (
        payload_of(MARK.read(MARK.embed(photo, PAYLOAD, [(-90, -80, 9000, 60), (-9, -9, -3, -3)]))) == PAYLOAD
    )


def test_unmarked_pictures_hold_no_message(photo: np.ndarray) -> None:
    grid = np.kron(np.indices((16, 16)).sum(0) % 2, np.ones((32, 32)))
    others = [np.full((256, 256), 255), np.zeros((256, 256)), 200 * grid]
    pictures = [photo, portrait(5, 400), *(np.repeat(p[..., None], 3, 2).astype(np.uint8) for p in others)]
    assert [MARK.read(pixels) for pixels in pictures] == [None] * len(pictures)


@pytest.mark.parametrize("level", [0, 90, 255])
def test_a_plain_picture_carries_the_mark(level: int) -> None:
    plain = np.full((400, 400, 3), level, np.uint8)
    assert payload_of(MARK.read(MARK.embed(plain, PAYLOAD))) == PAYLOAD


@pytest.mark.parametrize("shape", [(127, 400), (400, 127), (1, 1)])
def test_a_tiny_picture_is_left_alone(shape: tuple[int, int]) -> None:
    tiny = cv2.resize(portrait(6, 400), shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.array_equal(MARK.embed(tiny, PAYLOAD), tiny)
    assert MARK.read(tiny) is None


def test_the_same_pixels_come_out_every_time(photo: np.ndarray, marked: np.ndarray) -> None:
    before = photo.copy()
    assert np.array_equal(MARK.embed(photo, PAYLOAD), marked)
    assert np.array_equal(photo, before)
    assert MARK.read(marked) == MARK.read(marked)


def test_payloads_differ_in_the_pixels(photo: np.ndarray, marked: np.ndarray) -> None:
    other = MARK.embed(photo, PAYLOAD ^ 1)
    assert not np.array_equal(other, marked)
    assert payload_of(MARK.read(other)) == PAYLOAD ^ 1


@pytest.mark.parametrize("between", ["none", "JPEG 75", "crop 10 %"])
def test_a_second_mark_replaces_the_first(between: str, marked: np.ndarray) -> None:
    again = MARK.embed(ATTACKS[between](marked), PAYLOAD ^ 0xFFFF)
    assert payload_of(MARK.read(recompressed(again, "JPEG", 75))) == PAYLOAD ^ 0xFFFF


@pytest.mark.parametrize("pixels", [np.zeros((200, 200), np.uint8), np.zeros((200, 200, 3))])
def test_arrays_other_than_uint8_rgb_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(PictureError, match="uint8 RGB"):
        MARK.embed(pixels, 1)


def psnr(before: np.ndarray, after: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean(np.square(before.astype(float) - after))))


@pytest.mark.slow
def test_a_reader_made_from_the_documentation_finds_the_signs(photo: np.ndarray, marked: np.ndarray) -> None:
    """docs/provenance.md, "How it is made", in plain code."""
    span = range(-14, 15)
    waves = [
        (hashlib.sha256(f"reliableswap-lattice-1:{ky},{kx}".encode()).digest(), ky, kx)
        for ky in span
        for kx in span
        if (kx > 0 or (kx == 0 and ky > 0)) and 12.25 <= ky**2 + kx**2 <= 196 and (ky % 4 or kx % 4)
    ]
    waves.sort()
    assert len(waves) == 270
    data = sorted(waves[:192], key=lambda wave: (wave[1] ** 2 + wave[2] ** 2, wave[0]))
    mark = (marked.astype(float) - photo)[..., 1]
    y, x = np.indices(mark.shape)
    signs = np.zeros(192)
    for i, (digest, ky, kx) in enumerate(data):
        value = np.sum(mark * np.exp(-2j * np.pi * (ky * y + kx * x) / 64))
        value *= np.exp(-0.25j * np.pi * (2 * (digest[31] % 4) + 1))
        for slot, part in ((2 * i, value.real), (2 * i + 1, value.imag)):
            signs[77 * (slot if slot < 192 else 383 - slot) % 192] += part
    assert np.array_equal(np.sign(signs), encode(PAYLOAD))
