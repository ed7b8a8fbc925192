"""Random people, and random scenes to put them into."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .shading import light_of

# Expressions that are common in photos, each as a few directions of the model at their usual strength.
EXPRESSIONS: tuple[dict[str, float], ...] = (
    {},
    {"mouthSmile_L": 0.7, "mouthSmile_R": 0.7, "cheekSquint_L": 0.4, "cheekSquint_R": 0.4},
    {"mouthSmile_L": 0.8, "mouthSmile_R": 0.8, "jawOpen": 0.18, "mouthUpperUp_L": 0.3, "mouthUpperUp_R": 0.3},
    {"jawOpen": 0.45, "browInnerUp_L": 0.4, "browInnerUp_R": 0.4, "eyeWide_L": 0.4, "eyeWide_R": 0.4},
    {"browDown_L": 0.7, "browDown_R": 0.7, "mouthFrown_L": 0.5, "mouthFrown_R": 0.5},
    {"mouthPucker": 0.6},
    {"eyeBlink_L": 0.45, "eyeBlink_R": 0.45, "jawOpen": 0.1},
)


@dataclass(frozen=True)
class Person:
    """What stays the same in all scenes of a person: the shape of the face, and everything on the skin.

    brows: height, thickness, arch, darkness; lips: redness, fullness, darkness; iris (3,) linear colour; spots (N,4)
    x, y, radius, strength; grain: seed of the skin's fine pattern.
    """

    shape: np.ndarray
    brows: tuple[float, float, float, float]
    lips: tuple[float, float, float]
    iris: np.ndarray
    beard: float
    flush: float
    spots: np.ndarray
    grain: int

    @classmethod
    def random(cls, rng: np.random.Generator) -> Person:
        """Draw a person."""
        irises = np.array([[0.10, 0.05, 0.02], [0.22, 0.13, 0.06], [0.12, 0.22, 0.35], [0.13, 0.24, 0.14]])
        spots = rng.uniform((-7, -9, 0.05, 0.2), (7, 10, 0.2, 0.7), (rng.integers(0, 12), 4))
        return cls(
            shape=np.clip(rng.normal(0, 1, 100), -2, 2),
            brows=(
                rng.normal(0, 0.15),
                rng.uniform(0.32, 0.6),
                rng.uniform(0.2, 0.7),
                rng.uniform(0.45, 0.9),
            ),
            lips=(rng.uniform(0.25, 0.9), rng.uniform(0.85, 1.15), rng.uniform(0.05, 0.3)),
            iris=irises[rng.integers(4)] * rng.uniform(0.7, 1.3),
            beard=max(0.0, rng.uniform(-0.5, 0.5)),
            flush=rng.uniform(0.1, 0.5),
            spots=spots,
            grain=int(rng.integers(1 << 31)),
        )


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything that is not the person: pose in degrees, expression, gaze, light and colours.

    gaze: radians left and up; light (9,3); tone, hair, cloth (3,) and background (2,3), below and above, are linear
    colours.
    """

    yaw: float
    pitch: float
    roll: float
    expression: dict[str, float]
    gaze: tuple[float, float]
    light: np.ndarray
    tone: np.ndarray
    hair: np.ndarray
    cloth: np.ndarray
    background: np.ndarray
    zoom: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> Scene:
        """Draw a scene."""
        tones = np.array([[0.68, 0.45, 0.35], [0.58, 0.36, 0.26], [0.42, 0.24, 0.16], [0.25, 0.14, 0.09]])
        first = int(rng.integers(len(tones)))
        share = rng.uniform(0, 1)
        tone = tones[first] * (1 - share) + tones[min(first + 1, len(tones) - 1)] * share
        hairs = np.array([[0.02, 0.015, 0.012], [0.08, 0.045, 0.025], [0.25, 0.16, 0.08], [0.3, 0.29, 0.28]])
        strength = rng.uniform(0.5, 1.1)
        chosen = EXPRESSIONS[rng.integers(len(EXPRESSIONS))]
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
        """(3,3) for column vectors: yaw, then pitch, then roll."""
        yaw, pitch, roll = np.radians([self.yaw, self.pitch, self.roll])
        y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
        z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
        return np.asarray(z @ x @ y)
