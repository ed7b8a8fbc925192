"""Smooth the meshes of a face in time with symmetric windows, so that nothing lags.

A wide window removes the mesh network's jitter, but also all fast motion: blinks take three frames. So each part of the
face (place and size, eyes, mouth, and the rest) is blended, frame by frame, from the wide window to the network's
output, as far as the two differ by more than jitter. The difference is measured through a narrow window, which removes
half of the jitter. Fast motion itself is left unfiltered, because some clips hold still for two frames and then jump.
`benchmarks/track_smoothing.py` compares this with one-euro filters, a Kalman smoother and fixed windows.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from reliableswap.geometry.measures import rigid_points
from reliableswap.geometry.topology import topology

_WIDE = 0.1  # seconds: the wide window's standard deviation
_TAPS = np.array([-3, 12, 17, 12, -3]) / 35  # the narrow window: fits a parabola to five frames
# Root mean square jitter of the mesh network, in eye distances of the mean face: of the place, and of points around it.
_PLACE, _POINTS = 0.002, 0.003
_LEAST, _MOST = 0.4, 3.0  # limits of a clip's own jitter, as factors on these
_LEFT = 0.55  # root mean square share of white jitter in the difference of the two windows, at 25 frames per second
# A squared difference, over the square of the jitter, begins to count as motion at the first and fully at the second.
_DOUBT = (3.0, 7.0)
_REACH = 0.07  # eye distances from a part's rings over which it fades into the rest


def smoothed(meshes: np.ndarray, rate: float = 25.0) -> np.ndarray:
    """(N,468,3) the meshes of consecutive frames, smoothed; rate: frames per second."""
    if len(meshes) < 3:
        return meshes
    place, turn, shapes = _decompose(meshes)
    scale = float(np.median(np.abs(turn)))
    moves = np.stack([place.real / scale, place.imag / scale], -1)
    turns = np.stack([np.log(np.abs(turn)), np.unwrap(np.angle(turn))], -1)
    moves = _steadied(moves[:, None], _PLACE, rate)[:, 0] * scale
    turns = _steadied(turns[:, None], _PLACE, rate)[:, 0]
    steady_turn = np.exp(turns[:, 0] + 1j * turns[:, 1])
    return _recompose(moves[:, 0] + 1j * moves[:, 1], steady_turn, _steadied_shapes(shapes, rate))


def wobble(meshes: np.ndarray) -> float:
    """Return the RMS jitter of the shape in meshes (N,468,3) of consecutive frames, in eye distances; 0 if N < 5."""
    return _jitter(_decompose(meshes)[2], 0.0, bounded=False) if len(meshes) >= 5 else 0.0


def _steadied_shapes(shapes: np.ndarray, rate: float) -> np.ndarray:
    """(N,468,3) the shapes, steadied part by part."""
    wide, narrow = _windowed(shapes, rate), _narrowed(shapes)
    out = np.zeros_like(shapes)
    for weights in _parts():
        core = weights > 0.5
        share = _share(narrow[:, core], wide[:, core], _jitter(shapes[:, core], _POINTS))
        out += weights[:, None] * (wide + share[:, None, None] * (shapes - wide))
    return out


def _steadied(signal: np.ndarray, usual: float, rate: float) -> np.ndarray:
    """(N,P,C) a signal smoothed by the wide window, but unchanged where it moves fast."""
    wide, narrow = _windowed(signal, rate), _narrowed(signal)
    share = _share(narrow, wide, _jitter(signal, usual))
    return np.asarray(wide + share[:, None, None] * (signal - wide))


def _share(narrow: np.ndarray, wide: np.ndarray, jitter: float) -> np.ndarray:
    """(N,) how far to trust the fast motion of each frame: 0 where the windows differ only by jitter."""
    square = ((narrow - wide) ** 2).sum(-1).mean(-1)
    low, high = _DOUBT
    share = np.clip((square / (_LEFT * jitter) ** 2 - low) / (high - low), 0, 1)
    longer = np.pad(share, 2, "edge")
    share = np.max([longer[i : i + len(share)] for i in range(5)], axis=0)
    return np.convolve(np.pad(share, 1, "edge"), (0.25, 0.5, 0.25), "valid")


def _jitter(signal: np.ndarray, usual: float, bounded: bool = True) -> float:
    """Estimate the RMS jitter of a signal (N,P,C) from the median size of its second differences."""
    if len(signal) < 5:
        return usual
    second = signal[2:] - 2 * signal[1:-1] + signal[:-2]
    found = float(np.median(np.sqrt((second**2).sum(-1).mean(-1)))) / np.sqrt(6)
    return float(found) if not bounded else float(np.clip(found, _LEAST * usual, _MOST * usual))


def _windowed(signal: np.ndarray, rate: float) -> np.ndarray:
    """(N,...) the signal smoothed by the wide window."""
    width = max(_WIDE * rate, 0.5)
    reach = max(1, round(3 * width))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    return _filtered(signal, taps / taps.sum())


def _narrowed(signal: np.ndarray) -> np.ndarray:
    return _filtered(signal, _TAPS)


def _filtered(signal: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """(N,...) the signal convolved in time; point reflection at both ends keeps its slope there."""
    reach, count = len(taps) // 2, len(signal)
    flat = signal.reshape(count, -1)
    longer = np.pad(flat, ((reach, reach), (0, 0)), "reflect", reflect_type="odd")
    done = sum(tap * longer[i : i + count] for i, tap in enumerate(taps))
    return np.asarray(done).reshape(signal.shape)


def _decompose(meshes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return place (N,) and turn and scale (N,) of the face as complex numbers, and shapes (N,468,3) without them."""
    rigid = rigid_points()
    model = _complex(topology().canonical[rigid].astype(np.float64))
    model = model - model.mean()
    seen = _complex(meshes[:, rigid].astype(np.float64))
    place = seen.mean(1)
    turn = ((seen - place[:, None]) * np.conj(model)).sum(1) / (np.abs(model) ** 2).sum()
    upright = (_complex(meshes.astype(np.float64)) - place[:, None]) / turn[:, None]
    depth = meshes[..., 2] / np.abs(turn)[:, None]
    return place, turn, np.stack([upright.real, upright.imag, depth], -1)


def _recompose(place: np.ndarray, turn: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    points = _complex(shapes) * turn[:, None] + place[:, None]
    depth = shapes[..., 2] * np.abs(turn)[:, None]
    return np.stack([points.real, points.imag, depth], -1).astype(np.float32)


def _complex(points: np.ndarray) -> np.ndarray:
    return np.asarray(points[..., 0] + 1j * points[..., 1])


@lru_cache(maxsize=1)
def _parts() -> np.ndarray:
    """(3,468) weights with which each point belongs to the eyes, the mouth and the rest; they add up to 1."""
    top = topology()
    mouth = np.concatenate([top.regions["lips"], top.regions["inner_lips"]])
    near = np.stack([_near(ring) for ring in (np.concatenate(top.eyes), mouth)])
    near = near / np.maximum(near.sum(0), 1)
    return np.concatenate([near, 1 - near.sum(0, keepdims=True)])


def _near(ring: np.ndarray) -> np.ndarray:
    """(468,) 1 at the points of a ring and fading to 0 away from it."""
    mean = topology().canonical
    distance = np.linalg.norm(mean[:, None, :2] - mean[None, ring, :2], axis=-1).min(1)
    return np.asarray(np.exp(-0.5 * (distance / _REACH) ** 2) * (distance < 3 * _REACH))
