"""Helpers for tests of provenance: a textured picture, and clips made in memory."""

from __future__ import annotations

import io
from functools import lru_cache

import av
import cv2
import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from reliableswap.media import Picture
from reliableswap.provenance.credentials import Credentials
from support.people import person


@lru_cache(maxsize=1)
def photo() -> np.ndarray:
    """(256,256,3) a crop of a portrait, large enough for the watermark."""
    pixels = cv2.imread(str(person(1)), cv2.IMREAD_REDUCED_COLOR_4)[..., ::-1]
    return np.ascontiguousarray(pixels[:256, :256])


def picture() -> Picture:
    return Picture(photo(), name="photo")


def clip(frames: list[np.ndarray], **options: str) -> bytes:
    """Encode an MP4 clip. options: of the encoder."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "18", **options})
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return out.getvalue()


def anchor(signer: Credentials) -> bytes:
    """PEM of the root certificate of the signer's chain."""
    return x509.load_pem_x509_certificates(signer.certificates)[-1].public_bytes(Encoding.PEM)
