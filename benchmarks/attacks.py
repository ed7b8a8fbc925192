"""What happens to pictures in circulation: recompression, resizing, cropping, screenshots, video."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from PIL import Image

Attack = Callable[[np.ndarray], np.ndarray]


def recompressed(pixels: np.ndarray, kind: str, quality: int) -> np.ndarray:
    """(H,W,3) uint8 after lossy compression as `kind`, JPEG or WEBP."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, quality=quality)
    return np.asarray(Image.open(stream).convert("RGB"))


def resized(pixels: np.ndarray, scale: float) -> np.ndarray:
    """(H,W,3) uint8 at another size."""
    size = round(pixels.shape[1] * scale), round(pixels.shape[0] * scale)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def halved_and_back(pixels: np.ndarray) -> np.ndarray:
    """(H,W,3) uint8 reduced to half its size and enlarged to the old size."""
    return cv2.resize(resized(pixels, 0.5), pixels.shape[1::-1], interpolation=cv2.INTER_CUBIC)


def cropped(pixels: np.ndarray, share: float) -> np.ndarray:
    """(H,W,3) uint8 without `share` of the area, more of it at the top and right."""
    keep = np.sqrt(1 - share)
    height, width = (int(side * keep) for side in pixels.shape[:2])
    top, left = int((pixels.shape[0] - height) * 0.6), int((pixels.shape[1] - width) * 0.3)
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])


def brightened(pixels: np.ndarray, factor: float) -> np.ndarray:
    """(H,W,3) uint8 with every value multiplied."""
    return np.clip(pixels * factor, 0, 255).astype(np.uint8)


def noisy(pixels: np.ndarray, deviation: float = 5.0) -> np.ndarray:
    """(H,W,3) uint8 with independent noise on every value."""
    noise = np.random.default_rng(0).normal(0, deviation, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def blurred(pixels: np.ndarray) -> np.ndarray:
    """(H,W,3) uint8 blurred by a Gaussian of 1 px."""
    return cv2.GaussianBlur(pixels, (0, 0), 1.0)


def screenshot(pixels: np.ndarray) -> np.ndarray:
    """(H,W,3) uint8 shown at 83 % on a page, with another gamma, and kept as JPEG 80."""
    shown = resized(pixels, 0.83)
    page = np.full((shown.shape[0] + 90, shown.shape[1] + 60, 3), 245, np.uint8)
    page[50:-40, 20:-40] = shown
    return recompressed((255 * (page / 255.0) ** 1.1).astype(np.uint8), "JPEG", 80)


def filmed(frames: Sequence[np.ndarray], crf: int) -> list[np.ndarray]:
    """The (H,W,3) uint8 frames after H.264, cropped to an even size."""
    import av

    height, width = (side // 2 * 2 for side in frames[0].shape[:2])
    stream = io.BytesIO()
    with av.open(stream, "w", format="mp4") as clip:
        track = clip.add_stream("libx264", rate=25, options={"crf": str(crf), "preset": "medium"})
        track.width, track.height, track.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            pixels = np.ascontiguousarray(frame[:height, :width])
            clip.mux(track.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        clip.mux(track.encode())
    stream.seek(0)
    with av.open(stream) as clip:
        return [frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)]


ATTACKS: dict[str, Attack] = {
    "none": lambda pixels: pixels,
    "JPEG 90": lambda pixels: recompressed(pixels, "JPEG", 90),
    "JPEG 75": lambda pixels: recompressed(pixels, "JPEG", 75),
    "JPEG 60": lambda pixels: recompressed(pixels, "JPEG", 60),
    "JPEG 50": lambda pixels: recompressed(pixels, "JPEG", 50),
    "WebP 75": lambda pixels: recompressed(pixels, "WEBP", 75),
    "0.5x and back": halved_and_back,
    "0.5x": lambda pixels: resized(pixels, 0.5),
    "0.75x": lambda pixels: resized(pixels, 0.75),
    "1.3x": lambda pixels: resized(pixels, 1.3),
    "crop 10 %": lambda pixels: cropped(pixels, 0.1),
    "crop 25 %": lambda pixels: cropped(pixels, 0.25),
    "brightness +20 %": lambda pixels: brightened(pixels, 1.2),
    "brightness -20 %": lambda pixels: brightened(pixels, 0.8),
    "blur 1 px": blurred,
    "noise of 5 levels": noisy,
    "mirrored": lambda pixels: np.ascontiguousarray(pixels[:, ::-1]),
    "screenshot": screenshot,
}
