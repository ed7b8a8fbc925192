"""Fit faces/beards.json, whether a face has a beard, to photos with published attributes.

    python -m tools.beards --faces FFHQ128 --attributes ATTRIBUTES.json [--shares SHARES.npz]

The samples are what the bundled VisibilityNet finds on chin, upper lip and jaw (faces/beards.py). The labels are a face
API's, in tenths. A beard of 0.5 or more counts as one. Women, and men with at most 0.1 of a beard and of a moustache,
count as beardless. Faces in between, and those of a tenth of the people, are left out of the training. The figures are
those of the held-out people.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import reliableswap
from reliableswap.data.photos import list_photos
from reliableswap.data.splits import holds_out
from reliableswap.errors import ReliableSwapError
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.faces.beards import TERMS
from reliableswap.faces.parts import bundled_visibility, find_parts
from reliableswap.faces.visibility import find_lower_shares
from reliableswap.media import read_picture
from reliableswap.pipelines.image import ReliableSwapPipeline
from reliableswap.training.core.settings import setting
from tools.command import run_command
from tools.look_classifiers import Classifier, logistic_regression, read_attributes

logger = logging.getLogger(__name__)

KINDS = ("woman", "shaven", "between", "beard")
_FULL = float(np.log(0.98 / 0.02))  # log odds of a full beard


@dataclass
class BeardSettings:
    """Settings of the fit."""

    faces: Path = setting(Path("ffhq128"), "folder of photos, each named as in the attributes")
    attributes: Path = setting(Path("ffhq_attributes.json"), "JSON file of FFHQ's published attributes")
    shares: Path | None = setting(None, "cache file for what the faces show")
    output: Path = setting(Path(reliableswap.__file__).parent / "faces/beards.json", "file to write")
    ridge: float = setting(0.05, "ridge penalty on the weights")


@dataclass(frozen=True, eq=False)
class Sample:
    """What a lower face shows (15,), which of KINDS the label says, and whether the person is held out."""

    shares: np.ndarray
    kind: str
    held_out: bool


def kind_of(attributes: dict[str, Any]) -> str:
    """Return which of KINDS a photo's attributes name."""
    try:
        woman, beard, moustache = (
            attributes["gender"] == "female", *(attributes["facialHair"][name] for name in ("beard", "moustache"))
        )  # fmt: skip
    except (KeyError, TypeError) as error:
        raise ReliableSwapError(
            f"the attributes lack gender, facialHair.beard or facialHair.moustache ({error}); pass FFHQ's attributes"
        ) from None
    if woman:
        return "woman"
    if beard >= 0.5:
        return "beard"
    return "shaven" if max(beard, moustache) <= 0.1 else "between"


def fit(samples: Sequence[Sample], ridge: float) -> tuple[Classifier, dict[str, float]]:
    """Fit the classifier; return it and, as figures, the shares of held-out people of each kind that it takes for
    bearded, and for fully bearded."""
    sure = [one for one in samples if one.kind != "between" and not one.held_out]
    found = logistic_regression(
        np.stack([one.shares for one in sure]), np.array([one.kind == "beard" for one in sure]), ridge
    )
    figures = {"photos": float(len(sure))}
    for kind in KINDS:
        scores = [found(one.shares[None])[0] for one in samples if one.kind == kind and one.held_out]
        figures |= {
            f"{kind}_held_out": float(len(scores)),
            f"{kind}_bearded": float(np.mean(np.array(scores) > 0)),
            f"{kind}_full": float(np.mean(np.array(scores) > _FULL)),
        }
    return found, figures


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_command(run, BeardSettings, "beards", __doc__, argv)


def run(settings: BeardSettings) -> str:
    """Write the file; return the figures as JSON."""
    samples = read_samples(settings)
    for kind in ("woman", "beard"):
        if min(sum(one.kind == kind and one.held_out is out for one in samples) for out in (True, False)) < 5:
            raise ReliableSwapError(
                f"fewer than five faces in {settings.faces} are labelled {kind}, or fewer than five of those are held "
                "out; give a folder of some hundred photos that the attributes name"
            )
    found, figures = fit(samples, settings.ridge)
    weights = [round(float(weight), 3) for weight in found.weights]
    settings.output.write_text(json.dumps({"bias": round(found.bias, 3), "weights": weights}) + "\n", "utf-8")
    return json.dumps({name: round(value, 4) for name, value in figures.items()}, indent=1) + "\n"


def read_samples(settings: BeardSettings) -> list[Sample]:
    """Read what the labelled faces show."""
    attributes = read_attributes(settings.attributes)
    photos = [one for one in list_photos(settings.faces) if Path(one.name).stem in attributes]
    kept: dict[str, np.ndarray] = {}
    if settings.shares is not None and settings.shares.is_file():
        with np.load(settings.shares) as known:
            kept = dict(zip(known["names"].tolist(), known["shares"], strict=True))
    missing = [photo for photo in photos if photo.name not in kept]
    if missing:
        pipe = ReliableSwapPipeline.bundled()
        analyser, network = BundledAnalyser(pipe.detector, pipe.landmarks), bundled_visibility()
        for done, photo in enumerate(missing, 1):
            pixels = read_picture(photo.path).pixels
            faces = analyser(pixels)
            nothing = np.full(TERMS, np.nan, np.float32)
            mesh = faces[0].mesh if faces else None
            kept[photo.name] = (
                nothing
                if mesh is None
                else find_lower_shares(pixels, mesh, find_parts(pixels, mesh, network))
            )
            if done % 100 == 0:
                logger.info("%d of %d faces", done, len(missing))
        if settings.shares is not None:
            np.savez(settings.shares, names=np.array(list(kept)), shares=np.stack(list(kept.values())))
    return [
        Sample(kept[one.name], kind_of(attributes[Path(one.name).stem]), holds_out(one.identity))
        for one in photos
        if not np.isnan(kept[one.name]).any()
    ]


if __name__ == "__main__":
    sys.exit(main())
