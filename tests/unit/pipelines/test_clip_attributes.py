"""Attributes in clips: what `--keep` and `--take` say holds for every frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.face_clips import Actor, scene, walking
from support.people import portrait

from reliableswap import ReliableSwapPipeline
from reliableswap.cli.main import make_parser
from reliableswap.cli.swap import parse_attributes
from reliableswap.faces.track import TrackedFace
from reliableswap.geometry import regions
from reliableswap.pipelines.clip_swap import FrameSwapper
from reliableswap.pipelines.people import person_of
from reliableswap.swap.settings import SwapSettings


@pytest.mark.slow
def test_lips_that_are_kept_are_the_clips_own_in_every_frame(pipe: ReliableSwapPipeline) -> None:
    networks = pipe.networks()
    frames = scene([Actor(1, walking(140, 150, 2))], 2)
    faces = [[TrackedFace(n, 1, 1, pipe.analyser(pixels)[0])] for n, pixels in enumerate(frames)]
    with torch.inference_mode():
        sources = {1: person_of(portrait(2), networks, pipe.analyser)}

    def changes(settings: SwapSettings) -> list[float]:
        """How far the lips differ from the clip's, in each frame."""
        swapper, found = FrameSwapper("clip", sources, "blend", settings, networks), []
        for pixels, (one,) in zip(frames, faces, strict=True):
            lips = regions.lips(one.face.mesh, pixels.shape[:2]) > 0
            after = swapper(pixels, [one]).pixels
            found.append(float(np.abs(after.astype(int) - pixels)[lips].mean()))
        return found

    plain = changes(SwapSettings())
    kept = changes(SwapSettings().with_attributes(parse_attributes("lips,shape", "")))
    assert all(one < 0.25 * other for one, other in zip(kept, plain, strict=True))


def test_the_command_takes_both_options() -> None:
    given = make_parser("video").parse_args(
        ["video", "a.jpg", "b.mp4", "-o", "c.mp4", "--keep", "brows", "--take", "glasses"]
    )
    assert parse_attributes(given.keep, given.take).changed == {"brows": "target", "glasses": "source"}
