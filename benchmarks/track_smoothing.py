"""Compare ways to smooth the meshes of a face in time, on tracks whose truth is known.

    python benchmarks/track_smoothing.py

The truth is a head that holds still, sways, shakes quickly, blinks within three frames and talks, at 25 frames per
second. White jitter is added, about as much as the mesh network has in sharp clips: of position and size, of the whole
shape in few directions, and of single points. Lengths are in percent of the eye distance.

still: root mean square change from frame to frame while head and face hold still
shake: root mean square error of position while the head shakes
blink, lips: how much of the movement of lids and lips is left; 100 % is all of it
all: root mean square error of all points
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from reliableswap.faces.track.smooth import smoothed
from reliableswap.geometry.measures import eye_openings, rigid_points
from reliableswap.geometry.topology import topology

RATE, SECONDS, EYES = 25.0, 24.0, 100.0  # frames per second, seconds of each scene, pixels between the eyes
SCENES = ("still", "sway", "shake", "blink", "lips")
PLACE, SHAPE, POINT = 0.002, 0.003, 0.001  # jitter in eye distances
Method = Callable[[np.ndarray], np.ndarray]


def truth_of(scene: str) -> np.ndarray:
    """(N,468,3) the meshes of a scene, without jitter."""
    top = topology()
    time = np.arange(round(SECONDS * RATE)) / RATE
    mean = (top.canonical - top.canonical.mean(0)).astype(np.float64)
    meshes = np.repeat(mean[None], len(time), 0)
    if scene == "blink":
        closed = _pulses(time, every=1.6, frames=3)
        for up, down in ((159, 145), (386, 374)):
            near = np.exp(-0.5 * ((mean[:, :2] - mean[up, :2]) ** 2).sum(-1) / 0.05**2)
            meshes[..., 1] += closed[:, None] * near * (mean[down, 1] - mean[up, 1])
    if scene == "lips":
        opening = 0.08 * (1 + np.sin(2 * np.pi * 4.5 * time)) * (np.sin(2 * np.pi * 0.4 * time) > -0.3)
        near = np.exp(-0.5 * ((mean[:, :2] - mean[14, :2]) ** 2).sum(-1) / 0.12**2) * (
            mean[:, 1] > mean[13, 1] + 1e-3
        )
        meshes[..., 1] += opening[:, None] * near
    if scene == "sway":
        meshes = _moved(meshes, 0.6 * np.sin(2 * np.pi * 0.3 * time), 0.1 * np.sin(2 * np.pi * 0.2 * time))
    if scene == "shake":
        meshes = _moved(meshes, 0.3 * np.sin(2 * np.pi * 2.5 * time), 0.1 * np.sin(2 * np.pi * 2.1 * time))
    return meshes * EYES + 300


def _pulses(time: np.ndarray, every: float, frames: int) -> np.ndarray:
    """(N,) pulses to 1 that rise and fall within `frames` frames."""
    offset = (np.arange(len(time)) % round(every * RATE)) - 12
    return np.clip(1 - np.abs(offset) / ((frames + 1) / 2), 0, 1)


def _moved(meshes: np.ndarray, across: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """The meshes shifted to the side (in eye distances) and rotated in the picture plane (in radians)."""
    c, s = np.cos(turn)[:, None], np.sin(turn)[:, None]
    x, y = meshes[..., 0], meshes[..., 1]
    return np.stack([c * x - s * y + across[:, None], s * x + c * y, meshes[..., 2]], -1)


def with_jitter(meshes: np.ndarray, seed: int = 0) -> np.ndarray:
    """The meshes as the mesh network would see them."""
    rng = np.random.default_rng(seed)
    count = len(meshes)
    middle = meshes.mean(1, keepdims=True)
    mean = topology().canonical - topology().canonical.mean(0)
    waves = np.stack([np.sin(mean @ rng.normal(size=(3, 3)) * 4 + rng.uniform(0, 6, 3)) for _ in range(12)])
    shape = np.einsum("nk,kpc->npc", rng.normal(size=(count, 12)), waves) * SHAPE / np.sqrt(12 * 0.5)
    noisy = middle + (meshes - middle) * (1 + PLACE * rng.normal(size=(count, 1, 1)))
    noisy[..., :2] += PLACE * EYES * rng.normal(size=(count, 1, 2))
    return noisy + EYES * (shape + POINT * rng.normal(size=meshes.shape))


def one_euro(meshes: np.ndarray, least: float = 1.0, beta: float = 0.02) -> np.ndarray:
    """The one-euro filter (Casiez 2012) on every coordinate, as live trackers use it."""
    out, speed = meshes.copy(), np.zeros_like(meshes[0])
    for i in range(1, len(meshes)):
        raw = (meshes[i] - out[i - 1]) * RATE
        speed += _alpha(np.full_like(raw, 1.0)) * (raw - speed)
        out[i] = out[i - 1] + _alpha(least + beta * np.abs(speed)) * (meshes[i] - out[i - 1])
    return out


def _alpha(cutoff: np.ndarray) -> np.ndarray:
    return 1 / (1 + RATE / (2 * np.pi * cutoff))


def both_ways(meshes: np.ndarray, least: float = 1.0, beta: float = 0.02) -> np.ndarray:
    """The mean of one-euro filters forwards and backwards."""
    return (one_euro(meshes, least, beta) + one_euro(meshes[::-1], least, beta)[::-1]) / 2


def kalman(meshes: np.ndarray, process: float = 60.0, seen: float = 0.5) -> np.ndarray:
    """A Kalman filter of constant speed and the Rauch-Tung-Striebel smoother, on every coordinate."""
    step = 1 / RATE
    f = np.array([[1, step], [0, 1]])
    q = process**2 * np.array([[step**3 / 3, step**2 / 2], [step**2 / 2, step]])
    shape = meshes.shape[1:]
    x, p = np.stack([meshes[0].ravel(), np.zeros(np.prod(shape))]), np.diag([seen**2, process**2])
    filtered, covariances = [x], [p]
    for row in meshes[1:].reshape(len(meshes) - 1, -1):
        x, p = f @ x, f @ p @ f.T + q
        gain = p[:, :1] / (p[0, 0] + seen**2)
        x, p = x + gain * (row - x[0]), p - gain @ p[:1]
        filtered.append(x)
        covariances.append(p)
    out = [filtered[-1]]
    for x, p in zip(filtered[-2::-1], covariances[-2::-1], strict=True):
        gain = p @ f.T @ np.linalg.inv(f @ p @ f.T + q)
        out.append(x + gain @ (out[-1] - f @ x))
    return np.stack([x[0] for x in out[::-1]]).reshape(meshes.shape)


def window(taps: np.ndarray) -> Method:
    """A fixed window in time."""
    reach = len(taps) // 2

    def run(meshes: np.ndarray) -> np.ndarray:
        longer = np.pad(meshes, ((reach, reach), (0, 0), (0, 0)), "reflect", reflect_type="odd")
        return sum(tap * longer[i : i + len(meshes)] for i, tap in enumerate(taps))

    return run


def gaussian(width: float) -> Method:
    taps = np.exp(-0.5 * (np.arange(-9, 10) / width) ** 2)
    return window(taps / taps.sum())


METHODS: dict[str, Method] = {
    "as seen": lambda meshes: meshes,
    "one-euro": one_euro,
    "one-euro both ways": both_ways,
    "one-euro 2 Hz, quick": lambda meshes: one_euro(meshes, 2.0, 0.3),
    "both ways, quick": lambda meshes: both_ways(meshes, 2.0, 0.3),
    "Kalman RTS, q 20": lambda meshes: kalman(meshes, 20.0),
    "Kalman RTS, q 60": kalman,
    "Kalman RTS, q 300": lambda meshes: kalman(meshes, 300.0),
    "Gaussian, 1 frame": gaussian(1.0),
    "Gaussian, 2.5 frames": gaussian(2.5),
    "Savitzky-Golay 5, 2": window(np.array([-3, 12, 17, 12, -3]) / 35),
    "Savitzky-Golay 7, 2": window(np.array([-2, 3, 6, 7, 6, 3, -2]) / 21),
    "by part (ours)": lambda meshes: smoothed(meshes, RATE),
}


def figures(method: Method) -> dict[str, float]:
    """The columns of the table."""
    found = {}
    errors = []
    for scene in SCENES:
        truth = truth_of(scene)
        made = method(with_jitter(truth))
        errors.append(((made - truth)[..., :2] ** 2).sum(-1).mean())
        if scene == "still":
            found["still"] = 100 * _rms(np.diff(made[..., :2], axis=0)) / EYES
        if scene == "shake":
            middle = (made - truth)[:, rigid_points(), :2].mean(1)
            found["shake"] = 100 * _rms(middle) / EYES
        if scene == "blink":
            found["blink"] = 100 * _way(truth, made, lambda mesh: float(eye_openings(mesh).mean()))
        if scene == "lips":
            found["lips"] = 100 * _way(truth, made, lambda mesh: float(mesh[14, 1] - mesh[13, 1]))
    return found | {"all": 100 * float(np.sqrt(np.mean(errors))) / EYES}


def _way(truth: np.ndarray, made: np.ndarray, measure: Callable[[np.ndarray], float]) -> float:
    """How much of a movement is left: the slope of a regression of the smoothed values on the true ones."""
    true, seen = (np.array([measure(mesh) for mesh in meshes]) for meshes in (truth, made))
    return float(np.polyfit(true, seen, 1)[0])


def _rms(vectors: np.ndarray) -> float:
    return float(np.sqrt((vectors**2).sum(-1).mean()))


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    print(f"{'':24}" + "".join(f"{name:>8}" for name in ("still", "shake", "blink", "lips", "all")))
    for name, method in METHODS.items():
        row = figures(method)
        print(
            f"{name:24}" + "".join(f"{row[key]:8.2f}" for key in ("still", "shake", "blink", "lips", "all"))
        )


if __name__ == "__main__":
    main()
