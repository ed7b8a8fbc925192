"""Judges that are networks of this library: an identity encoder, or a FixerNet for the lower face."""

from __future__ import annotations

import numpy as np

from reliableswap.faces.align import FIXER_WINDOW, IDENTITY_WINDOW, align
from reliableswap.faces.face import Detection
from reliableswap.models.fixer import FixerNet
from reliableswap.models.identity import IdentityEncoder
from reliableswap.runtime.torch_arrays import TorchArrayNetwork
from reliableswap.swap.networks import embed

from .base import unit


class EncoderJudge:
    """An IdentityEncoder on the identity window of the aligned crop."""

    def __init__(self, encoder: IdentityEncoder, name: str = "") -> None:
        self.encoder, self.name = encoder.eval(), name or encoder.label

    def embed(self, image: np.ndarray, face: Detection) -> np.ndarray:
        crop, _ = align(image, face.points5, 128)
        return unit(embed(TorchArrayNetwork(self.encoder), crop[IDENTITY_WINDOW]))


class FixerJudge:
    """A FixerNet, which sees only the bottom centre of the aligned crop: jaw and mouth."""

    def __init__(self, fixer: FixerNet, name: str = "") -> None:
        self.fixer, self.name = fixer.eval(), name or fixer.config.name or f"fixer {fixer.config.body}"

    def embed(self, image: np.ndarray, face: Detection) -> np.ndarray:
        crop, _ = align(image, face.points5, 128)
        return unit(embed(TorchArrayNetwork(self.fixer), crop[FIXER_WINDOW]))
