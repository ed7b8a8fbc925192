"""Swap jobs on two pictures, and small generators for them."""

from __future__ import annotations

import numpy as np
import torch

from reliableswap import ReliableSwapPipeline
from reliableswap.models.light import LightGenerator
from reliableswap.runtime.torch_arrays import TorchArrayNetwork
from reliableswap.swap.job import FaceJob
from reliableswap.swap.networks import Networks
from reliableswap.swap.person import Person
from reliableswap.swap.settings import SwapSettings
from reliableswap.swap.subject import Subject


def job(
    pipe: ReliableSwapPipeline,
    target: np.ndarray,
    source: np.ndarray,
    settings: SwapSettings | None = None,
    **networks: torch.nn.Module | None,
) -> FaceJob:
    """A job on two pictures. networks: replace those of the pipeline."""
    own = pipe.networks()
    given = {name: None if n is None else TorchArrayNetwork(n) for name, n in networks.items()}
    running = Networks(**{**vars(own), **given})
    ours, theirs = (Subject.around(p, pipe.find(p)[0], "photo", running) for p in (target, source))
    return FaceJob.start(ours, Person("source", (theirs,)), settings or SwapSettings(), running)


def tiny(kind: type[LightGenerator] = LightGenerator, **settings: object) -> LightGenerator:
    """A generator of one block for 128-d identity vectors."""
    return kind(**{"channels": (8, 8, 8, 8), "block_count": 1, "identity_dim": 128} | settings)
