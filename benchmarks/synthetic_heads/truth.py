"""Swaps whose right answer is known: person b rendered in person a's pose, expression, gaze and light.

A scene holds what a swap must keep: pose, expression, gaze, light, camera, background, hair, clothes and the
skin's overall tone, because a swapped face has to fit the target's neck. A person holds what it must bring:
the shape of the face, brows, lips, irises, beard, spots. So of each pair

    target = a in scene s      source = b in scene t      truth = b in scene s      reference = b in scene u
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.synthetic_heads import heads
from benchmarks.synthetic_heads.heads import HeadModel, Person, geometry
from benchmarks.synthetic_heads.render import light_of, rasterise, shade
from benchmarks.synthetic_heads.skin import eye_colour, skin_colour
from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation.protocols.pairs import write_pairs
from reliableswap.evaluation.protocols.shots import Pair, Shot
from reliableswap.media import Picture, write_picture

SIZE, _FINER = 256, 2  # pixels a side; rendered finer by that factor, then averaged
_CAMERA, _FIELD = 75.0, 30.0  # centimetres to the camera, and seen across at the head
# Expressions that occur in photos, each a few directions of the model at their usual strength.
_EXPRESSIONS: tuple[dict[str, float], ...] = (
    {},
    {"mouthSmile_L": 0.7, "mouthSmile_R": 0.7, "cheekSquint_L": 0.4, "cheekSquint_R": 0.4},
    {"mouthSmile_L": 0.8, "mouthSmile_R": 0.8, "jawOpen": 0.18, "mouthUpperUp_L": 0.3, "mouthUpperUp_R": 0.3},
    {"jawOpen": 0.45, "browInnerUp_L": 0.4, "browInnerUp_R": 0.4, "eyeWide_L": 0.4, "eyeWide_R": 0.4},
    {"browDown_L": 0.7, "browDown_R": 0.7, "mouthFrown_L": 0.5, "mouthFrown_R": 0.5},
    {"mouthPucker": 0.6},
    {"eyeBlink_L": 0.45, "eyeBlink_R": 0.45, "jawOpen": 0.1},
)


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything that is not the person; angles in degrees."""

    yaw: float
    pitch: float
    roll: float
    expression: dict[str, float]
    gaze: tuple[float, float]
    light: np.ndarray  # (9,3)
    tone: np.ndarray  # (3,) linear colours from here on
    hair: np.ndarray
    cloth: np.ndarray
    background: np.ndarray  # (2,3) below and above
    zoom: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Scene:
        tones = np.array([[0.68, 0.45, 0.35], [0.58, 0.36, 0.26], [0.42, 0.24, 0.16], [0.25, 0.14, 0.09]])
        first = int(rng.integers(len(tones)))
        share = rng.uniform(0, 1)
        tone = tones[first] * (1 - share) + tones[min(first + 1, len(tones) - 1)] * share
        hairs = np.array([[0.02, 0.015, 0.012], [0.08, 0.045, 0.025], [0.25, 0.16, 0.08], [0.3, 0.29, 0.28]])
        strength = rng.uniform(0.5, 1.1)
        chosen = _EXPRESSIONS[rng.integers(len(_EXPRESSIONS))]
        key = np.array([rng.normal(0, 0.7), rng.uniform(0.1, 0.8), 1.0])
        fill = np.array([-np.sign(key[0]) * rng.uniform(0.5, 1.5), rng.uniform(-0.3, 0.5), 0.6])
        warmth = np.array([1.0, 1.0, 1.0]) + rng.uniform(-0.12, 0.12) * np.array([1.0, 0.1, -1.0])
        colours = np.stack([warmth * rng.uniform(0.45, 0.75), warmth[::-1] * rng.uniform(0.05, 0.25)])
        return cls(
            yaw=float(np.clip(rng.normal(0, 16), -35, 35)),
            pitch=float(np.clip(rng.normal(0, 7), -15, 15)),
            roll=float(np.clip(rng.normal(0, 6), -15, 15)),
            expression={name: weight * strength for name, weight in chosen.items()},
            gaze=(rng.normal(0, 0.12), rng.normal(0, 0.06)),
            light=light_of(np.stack([key, fill]), colours, np.full(3, rng.uniform(0.22, 0.45))),
            tone=tone,
            hair=hairs[rng.integers(len(hairs))],
            cloth=rng.uniform(0.02, 0.5, 3),
            background=rng.uniform(0.1, 0.5, (2, 1)) * rng.uniform(0.75, 1.25, (2, 3)),
            zoom=rng.uniform(0.9, 1.1),
        )

    @property
    def rotation(self) -> np.ndarray:
        """(3,3) for columns: roll after pitch after yaw."""
        yaw, pitch, roll = np.radians([self.yaw, self.pitch, self.roll])
        y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
        z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
        return np.asarray(z @ x @ y)


def picture_of(model: HeadModel, person: Person, scene: Scene, size: int = SIZE) -> np.ndarray:
    """(size,size,3) uint8 the person in the scene."""
    head = geometry(model, person, scene.expression, scene.gaze)
    fine = size * _FINER
    points = head.points @ scene.rotation.T
    depth = _CAMERA - points[:, 2]
    scale = fine / _FIELD * scene.zoom * _CAMERA / depth
    screen = np.stack([fine / 2 + points[:, 0] * scale, fine * 0.5 - points[:, 1] * scale, depth], 1)
    seen = rasterise(screen, head.triangles, (fine, fine))
    place, normal = seen.spread(head.place, head.triangles), seen.spread(head.normals, head.triangles)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    material = head.material[seen.triangle[seen.covered]]
    colour = np.empty_like(place)
    plain = {heads.MOUTH: np.array([0.05, 0.012, 0.012]), heads.TEETH: np.array([0.62, 0.58, 0.5])}
    plain |= {heads.HAIR: scene.hair, heads.CLOTH: scene.cloth}
    for number, one in plain.items():
        colour[material == number] = one
    skin, eyes = material == heads.SKIN, material == heads.EYE
    colour[skin] = skin_colour(place[skin], person, scene.tone, scene.hair)
    colour[eyes] = eye_colour(place[eyes], person.iris)

    height = np.linspace(1, 0, fine)[:, None, None]
    image = np.broadcast_to(
        scene.background[0] * (1 - height) + scene.background[1] * height, (fine, fine, 3)
    ).copy()
    image[seen.covered] = colour * shade(normal @ scene.rotation.T, scene.light)
    image = cv2.resize(np.clip(image, 0, 1).astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    return np.rint(255 * _display(image)).astype(np.uint8)


def _display(linear: np.ndarray) -> np.ndarray:
    """sRGB's curve."""
    return np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055
    )


def make_set(
    model: HeadModel,
    folder: Path,
    pairs: int = 100,
    people: int = 40,
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> Path:
    """Render a set and return its pair list, for the protocol `pairs`; equal seeds give equal pictures."""
    if people < 2:
        raise ReliableSwapError(f"a set of {people} people has no pairs; make at least 2")
    if folder.exists() and any(folder.iterdir()):
        raise ReliableSwapError(f"{folder} is not empty; give a new folder")
    drawn = [Person.drawn(np.random.default_rng([seed, 0, i])) for i in range(people)]
    made = []
    for number in range(pairs):
        rng = np.random.default_rng([seed, 1, number])
        a, b = rng.choice(people, 2, replace=False)
        kept, theirs, other = (Scene.drawn(rng) for _ in range(3))
        shown = {"target": (a, kept), "source": (b, theirs), "truth": (b, kept), "reference": (b, other)}
        paths = {}
        for kind, (who, scene) in shown.items():
            paths[kind] = folder / kind / f"{number:05d}.png"
            paths[kind].parent.mkdir(parents=True, exist_ok=True)
            image = picture_of(model, drawn[who], scene)
            write_picture(Picture(image), paths[kind], ai_made=False)
        made.append(
            Pair(
                f"{number:05d}",
                Shot(paths["source"], f"head {b}"),
                Shot(paths["target"], f"head {a}"),
                Shot(paths["reference"], f"head {b}"),
                paths["truth"],
            )
        )
        if (number + 1) % 10 == 0 or number + 1 == pairs:
            say(f"rendered {number + 1} of {pairs} pairs")
    table = folder / "pairs.tsv"
    write_pairs(made, table)
    return table
