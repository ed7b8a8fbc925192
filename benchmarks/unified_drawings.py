"""Measure faces that a unified face model draws, with the networks that measure photos."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from reliableswap.convert.perceptual import pretrained_perceptual_features
from reliableswap.data.describe.attributes import ATTRIBUTES, attributes_from_measures
from reliableswap.data.describe.language import caption, stated
from reliableswap.data.describe.measures import measured
from reliableswap.data.describe.rows import DescribedFaces
from reliableswap.evaluation.metrics.frechet import MIN_PICTURES, frechet_distance
from reliableswap.evaluation.metrics.intervals import bootstrap
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.faces.beards import bearded
from reliableswap.faces.parts import bundled_visibility, find_parts
from reliableswap.faces.visibility import find_lower_shares
from reliableswap.media import Picture, write_picture
from reliableswap.models.unified.generate import caption_words, draw
from reliableswap.models.unified.tokeniser import FaceTokeniser
from reliableswap.models.unified.transformer import UnifiedTransformer

BATCH = 32

# Captions of a man, by name: four from a long text that says other things about him, and two short ones.
BEARDS: dict[str, Callable[[str], str]] = {
    "long, nothing": lambda text: text,
    "long, without a beard": lambda text: f"{text} , without a beard",
    "long, with a beard": lambda text: f"{text} , with a beard",
    "long, bearded": lambda text: re.sub(r"\b(man|gentleman)\b", r"bearded \1", text, count=1),
    "a man": lambda text: "a man",
    "a bearded man": lambda text: "a bearded man",
}


_SHEET = 64  # drawn faces on the sheet


def pixels_to_network(crops: Sequence[np.ndarray]) -> torch.Tensor:
    """(N,128,128,3) uint8 -> (N,3,128,128) in [-1,1]."""
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_pixels(pictures: torch.Tensor) -> np.ndarray:
    """(N,3,128,128) in [-1,1] -> (N,128,128,3) uint8."""
    made = ((pictures.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return made.permute(0, 2, 3, 1).numpy()


@torch.inference_mode()
def tokens_of(tokeniser: FaceTokeniser, crops: Sequence[np.ndarray]) -> torch.Tensor:
    """(N,64) the tokens of crops."""
    parts = [pixels_to_network(crops[i : i + BATCH]) for i in range(0, len(crops), BATCH)]
    return torch.cat([tokeniser.encode(part) for part in parts])


@torch.inference_mode()
def pictures_of(tokeniser: FaceTokeniser, tokens: torch.Tensor) -> np.ndarray:
    """(N,128,128,3) the pictures of tokens."""
    return np.concatenate([to_pixels(tokeniser.decode(part)) for part in tokens.split(BATCH)])


def share(right: Sequence[bool], people: Sequence[str] | None = None) -> dict[str, float]:
    """The share of right ones in percent, with its interval, over people where they are given."""
    found = bootstrap([float(one) for one in right], groups=people, share=True)
    assert found is not None
    return {
        "value": 100 * found.value,
        "low": 100 * found.low,
        "high": 100 * found.high,
        "count": found.count,
    }


def agreement(
    pictures: Sequence[np.ndarray], wanted: Sequence[dict[str, str]]
) -> dict[str, dict[str, float]]:
    """By attribute, the share of pictures with the wanted value, among those whose measures give one; `face`: the share
    with a face."""
    analyser = BundledAnalyser()
    faces, right = [], {name: [] for name in ATTRIBUTES}  # type: tuple[list[bool], dict[str, list[bool]]]
    for picture, truth in zip(pictures, wanted, strict=True):
        found = analyser(np.ascontiguousarray(picture))
        faces.append(bool(found))
        if not found:
            continue
        seen = attributes_from_measures(measured(picture, found[0]))
        for name, value in truth.items():
            if name in seen:
                right[name].append(seen[name] == value)
    shares = {name: share(own) for name, own in right.items() if len(own) >= 10}
    return {"face": share(faces), **shares}


def beards_seen(pictures: Sequence[np.ndarray], people: Sequence[str]) -> dict[str, float] | None:
    """The share of pictures with a beard, by what the VisibilityNet sees of the lower face; None if none has a face."""
    analyser, network = BundledAnalyser(), bundled_visibility()
    seen, whose = [], []
    for picture, person in zip(pictures, people, strict=True):
        pixels = np.ascontiguousarray(picture)
        found = analyser(pixels)
        if found:
            mesh = found[0].mesh
            shares = find_lower_shares(pixels, mesh, find_parts(pixels, mesh, network))
            seen.append(bearded(shares) > 0.5)
            whose.append(person)
    return share(seen, whose) if seen else None


def measure_beards(
    tokeniser: FaceTokeniser,
    network: UnifiedTransformer,
    faces: DescribedFaces,
    tokens: torch.Tensor,
    count: int,
    options: argparse.Namespace,
) -> dict[str, dict[str, float] | None]:
    """How many drawn men show a beard, by what the caption says of it, and how many real men with and without one.

    Long captions state what else is known of held-out men, and differ only in what they say of the beard.
    """
    men = [i for i in range(len(faces)) if faces.attributes[i].get("gender") == "man"]
    rng = np.random.default_rng(options.seed)
    plain = [
        caption({name: value for name, value in faces.attributes[i].items() if name != "beard"}, rng)
        for i in men[:count]
    ]
    found: dict[str, dict[str, float] | None] = {}
    for name, asked in BEARDS.items():
        drawn = pictures_of(tokeniser, drawings(network, [asked(text) for text in plain], options))
        found[name] = beards_seen(list(drawn), [faces.people[i] for i in men[:count]])
    for value in ("beard", "none"):
        real = [i for i in men if faces.attributes[i].get("beard") == value]
        whose = [faces.people[i] for i in real]
        found[f"photos, {value}"] = beards_seen([faces.crop(i) for i in real], whose)
        found[f"their tokens, {value}"] = beards_seen(
            list(pictures_of(tokeniser, tokens[real])) if real else [], whose
        )
    return found


@torch.inference_mode()
def features_of(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """(N,D) EfficientNet-Lite1 features of whole crops: no loss uses them."""
    network = pretrained_perceptual_features(1)
    parts = [pixels_to_network(pictures[i : i + BATCH]) for i in range(0, len(pictures), BATCH)]
    return np.concatenate([network(part)[-1].mean((2, 3)).double().numpy() for part in parts])


def kernel_distance(ones: np.ndarray, others: np.ndarray) -> float:
    """The unbiased squared MMD of two feature sets with the cubic kernel (KID)."""

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray((a @ b.T / a.shape[1] + 1) ** 3)

    n, m = len(ones), len(others)
    xx, yy, xy = kernel(ones, ones), kernel(others, others), kernel(ones, others)
    within = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(within - 2 * xy.mean())


def drawings(
    network: UnifiedTransformer, captions: Sequence[str], options: argparse.Namespace
) -> torch.Tensor:
    """(N,64) the tokens that are drawn from captions."""
    generator = torch.Generator().manual_seed(options.seed)
    made = []
    for start in range(0, len(captions), BATCH):
        words = [caption_words(text, network.vocabulary) for text in captions[start : start + BATCH]]
        made.append(
            draw(
                network, words, steps=options.steps, guidance=options.guidance, generator=generator,
                temperature=options.temperature,
            )
        )  # fmt: skip
    return torch.cat(made)


def measure_drawing(
    tokeniser: FaceTokeniser,
    network: UnifiedTransformer,
    faces: DescribedFaces,
    tokens: torch.Tensor,
    count: int,
    options: argparse.Namespace,
) -> tuple[dict[str, object], np.ndarray]:
    """Draw faces from captions of held-out people; compare them with the captions, real crops and their tokens."""
    captions = [faces.captions[i][0] for i in range(count)]
    drawn = pictures_of(tokeniser, drawings(network, captions, options))
    again = pictures_of(tokeniser, tokens[:count])
    wanted = [stated(text) for text in captions]
    found: dict[str, object] = {
        "agreement": agreement(drawn, wanted),
        "agreement of tokens": agreement(again, wanted),
    }
    if count >= MIN_PICTURES:
        real = [faces.crop(i) for i in range(len(faces))]
        sets = {"real": features_of(real), "tokens": features_of(again), "drawn": features_of(drawn)}
        for one, other in (("drawn", "real"), ("drawn", "tokens"), ("tokens", "real")):
            found[f"Fréchet {one} to {other}"] = frechet_distance(sets[one], sets[other])
            found[f"KID {one} to {other}"] = kernel_distance(sets[one], sets[other])
    return found, drawn


def write_sheet(drawn: np.ndarray, path: Path) -> None:
    """Write the first drawn faces, eight in a row."""
    shown = drawn[:_SHEET]
    rows = [np.concatenate(list(shown[i : i + 8]), 1) for i in range(0, len(shown) // 8 * 8, 8)]
    if rows:
        write_picture(Picture(np.concatenate(rows), name="sheet"), path, overwrite=True)
