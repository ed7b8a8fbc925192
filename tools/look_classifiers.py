"""Train the looks of faces/looks.py: logistic regressions that recognise glasses, and mouths that are not covered.

Glasses are labelled in the photos' published attributes. Labelled covered mouths are too few (seven of 3,639), so
covers are drawn: fingers in the face's own skin colour, a microphone, or a rotated piece of the photo. The labelled
ones are kept out of training, to check the drawn ones against; of the seven, two are covered by a hand or by food, and
five are beards, closed lips and paint.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from reliableswap.errors import ReliableSwapError
from reliableswap.faces.looks import CELLS, GLASSES, MOUTH, PATCH, PatchClassifier, features

_COVERS_PER_MOUTH = 2  # drawn on each mouth
_EDGES = 6  # edge channels, before the brightness channel


@dataclass(frozen=True, eq=False)
class LookPhoto:
    """A photo (H,W,3) RGB, its mesh (468,3), its published attributes, and whether its person is held out."""

    picture: np.ndarray
    mesh: np.ndarray
    attributes: dict[str, Any]
    held_out: bool


@dataclass(frozen=True, eq=False)
class Classifier:
    """Log odds are features @ weights + bias."""

    weights: np.ndarray
    bias: float

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """(N,) log odds of samples (N,896)."""
        return samples @ self.weights + self.bias


def read_attributes(path: Path) -> dict[str, dict[str, Any]]:
    """Attributes by photo name, as the FFHQ features dataset publishes them, in one JSON file."""
    if not path.is_file():
        raise ReliableSwapError(
            f"no attributes at {path}; pass --attributes with the JSON file of FFHQ's attributes"
        )
    try:
        found = json.loads(path.read_text("utf-8"))
        for attributes in found.values():
            attributes["glasses"], attributes["occlusion"]["mouthOccluded"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReliableSwapError(
            f"{path} is not a JSON object of attributes by photo name, each with glasses and "
            f"occlusion.mouthOccluded ({type(error).__name__}: {error}); pass FFHQ's attributes"
        ) from None
    return dict(found)


def mirrored_features(samples: np.ndarray) -> np.ndarray:
    """(N,896) the features of the mirrored patches: left and right edges, and the two diagonals, are exchanged."""
    columns, rows = CELLS
    edges = samples[:, : rows * columns * _EDGES].reshape(-1, rows, columns, _EDGES)
    light = samples[:, rows * columns * _EDGES :].reshape(-1, rows, columns)
    edges = edges[:, :, ::-1][..., [1, 0, 2, 3, 5, 4]]
    return np.concatenate([edges.reshape(len(samples), -1), light[:, :, ::-1].reshape(len(samples), -1)], 1)


def symmetric_regression(samples: np.ndarray, labels: np.ndarray, ridge: float) -> Classifier:
    """Fit samples (N,896) and their mirror images to labels (N,) of 0 and 1; symmetric weights."""
    found = logistic_regression(
        np.concatenate([samples, mirrored_features(samples)]), np.tile(labels, 2), ridge
    )
    return Classifier((found.weights + mirrored_features(found.weights[None])[0]) / 2, found.bias)


def logistic_regression(samples: np.ndarray, labels: np.ndarray, ridge: float) -> Classifier:
    """Fit samples (N,D) to labels (N,) of 0 and 1 by Newton's method."""
    if len(set(labels.tolist())) < 2:
        raise ReliableSwapError(
            f"all {len(labels)} training photos have the same label; pass photos and attributes of both kinds"
        )
    samples, labels = samples.astype(np.float64), labels.astype(np.float64)
    mean = samples.mean(0)
    terms = np.column_stack([samples - mean, np.ones(len(samples))])
    penalty = np.full(terms.shape[1], float(ridge))
    penalty[-1] = 1e-6  # the bias is free
    solution = np.zeros(terms.shape[1])
    for _ in range(25):
        probabilities = 1 / (1 + np.exp(-np.clip(terms @ solution, -40, 40)))
        hessian = (terms * (probabilities * (1 - probabilities) + 1e-4)[:, None]).T @ terms + np.diag(penalty)
        step = np.linalg.solve(hessian, terms.T @ (labels - probabilities) - penalty * solution)
        solution += step
        if np.abs(step).max() < 1e-8:
            break
    return Classifier(solution[:-1], float(solution[-1] - mean @ solution[:-1]))


def train_glasses(
    faces: list[LookPhoto], canonical: np.ndarray, ridge: float
) -> tuple[Classifier, dict[str, float]]:
    """Train the classifier of glasses, including sunglasses, and measure it on held-out people."""
    samples = np.stack([_features(GLASSES.patch(f.picture, f.mesh, canonical)) for f in faces])
    worn = np.array([f.attributes["glasses"] != "NoGlasses" for f in faces])
    out = np.array([f.held_out for f in faces])
    found = symmetric_regression(samples[~out], worn[~out], ridge)
    scores, truth = found(samples[out]), worn[out]
    return found, {
        "photos": float(len(truth)),
        "right": _share((scores > 0) == truth),
        "found": _share(scores[truth] > 0),
        "false_alarms": _share(scores[~truth] > 0),
    }


def train_mouth(
    faces: list[LookPhoto], canonical: np.ndarray, ridge: float, seed: int
) -> tuple[Classifier, dict[str, float]]:
    """Train the classifier of uncovered mouths; measure it on held-out people and on labelled covered mouths."""
    covered = [f for f in faces if f.attributes["occlusion"]["mouthOccluded"]]
    samples, seen, out = [], [], []
    for number, face in enumerate(f for f in faces if not f.attributes["occlusion"]["mouthOccluded"]):
        rng = np.random.default_rng([seed, number])
        mouth = MOUTH.patch(face.picture, face.mesh, canonical)
        covers = [draw_cover(mouth, face, canonical, rng) for _ in range(_COVERS_PER_MOUTH)]
        samples += [_features(patch) for patch in (mouth, *covers)]
        seen += [True] + [False] * _COVERS_PER_MOUTH
        out += [face.held_out] * (1 + _COVERS_PER_MOUTH)
    held, truth, features_of = np.array(out), np.array(seen), np.stack(samples)
    found = symmetric_regression(features_of[~held], truth[~held], ridge)
    scores, truth = found(features_of[held]), truth[held]
    labelled = np.array(
        [found(_features(MOUTH.patch(f.picture, f.mesh, canonical))[None])[0] for f in covered]
    )
    return found, {
        "photos": float(truth.sum()),
        "seen_above_-1": _share(scores[truth] > -1),
        "seen_above_-2": _share(scores[truth] > -2),
        "drawn_below_-1": _share(scores[~truth] < -1),
        "drawn_below_-2": _share(scores[~truth] < -2),
        "labelled_covered": float(len(labelled)),
        "labelled_below_-1": _share(labelled < -1),
    }


def _features(patch: np.ndarray) -> np.ndarray:
    """(896,) the look features of a colour patch (32,64,3)."""
    return features(cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY))


def _share(hits: np.ndarray) -> float:
    return float(hits.mean()) if len(hits) else float("nan")


def draw_cover(
    mouth: np.ndarray, face: LookPhoto, canonical: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """(32,64,3) a mouth's patch with a drawn cover, half the time fingers."""
    kind = rng.integers(4)
    if kind < 2:
        side = rng.choice([-0.4, 0.4])
        cheek = MOUTH.patch(face.picture, _moved(face.mesh, MOUTH, side, -0.35, 0), canonical)
        return draw_fingers(mouth, np.median(cheek.reshape(-1, 3), 0), rng)
    if kind == 2:
        return draw_microphone(mouth, rng)
    down, turn = rng.choice([-1.2, -0.55, 0.5]), rng.uniform(-90, 90)
    return MOUTH.patch(face.picture, _moved(face.mesh, MOUTH, rng.uniform(-0.4, 0.4), down, turn), canonical)


def _moved(mesh: np.ndarray, look: PatchClassifier, right: float, down: float, degrees: float) -> np.ndarray:
    """(468,2) the mesh shifted along the face's own axes, in eye distances, and rotated about the patch's middle."""
    points = mesh[:, :2].astype(np.float64)
    across = points[263] - points[33]
    below = np.array([-across[1], across[0]])
    middle = points[list(look.points)].mean(0)
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return (points - middle) @ turn + middle + right * across + down * below


def draw_fingers(mouth: np.ndarray, skin: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(32,64,3) one to five fingers of the skin colour (3,) across the patch, shaded as round bars."""
    width, height = PATCH
    angle, thick, count = np.radians(rng.uniform(-90, 90)), rng.uniform(5, 11), int(rng.integers(1, 6))
    x0, y0 = np.array([width - 1, height - 1]) / 2 + rng.uniform(-12, 12, 2)
    y, x = np.mgrid[:height, :width]
    along = (x - x0) * np.cos(angle) + (y - y0) * np.sin(angle)
    across = (y - y0) * np.cos(angle) - (x - x0) * np.sin(angle)
    colour, out = skin * rng.uniform(0.75, 1.15), mouth.astype(np.float64)
    for i in range(count):
        middle, tip = (i - (count - 1) / 2) * thick * rng.uniform(0.95, 1.1), rng.uniform(0, 22)
        reach = 2 / thick * np.hypot(across - middle, np.maximum(along - tip, 0))
        cover, shade = np.clip(3 * (1 - reach), 0, 1), 1 - 0.35 * np.clip(reach, 0, 1) ** 2
        out += cover[..., None] * (shade[..., None] * colour - out)
    out = cv2.GaussianBlur(out, (0, 0), 0.6, borderType=cv2.BORDER_REPLICATE) + rng.normal(0, 1.5, out.shape)
    return np.clip(out, 0, 255).astype(np.uint8)


def draw_microphone(mouth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(32,64,3) a dark ball on a handle over the patch."""
    out = mouth.copy()
    x, y, radius = int(rng.uniform(20, 44)), int(rng.uniform(8, 26)), int(rng.uniform(9, 18))
    grey = (int(rng.integers(10, 140)),) * 3
    axes = (radius, int(radius * rng.uniform(0.7, 1.2)))
    cv2.ellipse(out, (x, y), axes, rng.uniform(0, 180), 0, 360, grey, -1, cv2.LINE_AA)
    cv2.line(out, (x, y), (int(x + rng.uniform(-30, 30)), 40), grey, radius, cv2.LINE_AA)
    return out
