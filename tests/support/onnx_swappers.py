"""ONNX files with the inputs and outputs of published swappers and encoders, but simple contents."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .onnx_files import save

EMAP = np.roll(np.eye(512, dtype=np.float32), 3, axis=1) * 2  # permutes and scales the vector


def arcface(path: Path) -> Path:
    """As w600k_r50: (1,3,112,112) -> (1,512), not normalised; linear in 8x8 cells."""
    weights = np.random.default_rng(0).standard_normal((192, 512)).astype(np.float32)
    nodes = [
        ("AveragePool", ["input.1"], ["cells"], {"kernel_shape": [14, 14], "strides": [14, 14]}),
        ("Flatten", ["cells"], ["flat"], {"axis": 1}),
        ("MatMul", ["flat", "weights"], ["683"], {}),
    ]
    return save(path, nodes, {"input.1": ("None", 3, 112, 112)}, {"683": (1, 512)}, {"weights": weights})


def tint(vector: np.ndarray) -> np.ndarray:
    """(3,) in 0..1 the colour that `inswapper` and `hyperswap` add for a vector (512,)."""
    return 1 / (1 + np.exp(-10 * (vector @ _weights())))


def inswapper(path: Path, side: int = 128, emap: np.ndarray = EMAP) -> Path:
    """(1,3,S,S) in [0,1], (1,512) -> half the picture plus half the vector's colour; the emap is stored last."""
    constants = {**_shared(), "half": np.array(0.5, np.float32)}
    nodes = [
        *_colour(),
        ("Mul", ["target", "half"], ["seen"], {}),
        ("Mul", ["colour", "half"], ["shade"], {}),
    ]
    nodes.append(("Add", ["seen", "shade"], ["output"], {}))
    picture = (1, 3, side, side)
    return save(
        path,
        nodes,
        {"target": picture, "source": (1, 512)},
        {"output": picture},
        {**constants, "buff2fs": emap},
    )


def hyperswap(path: Path, side: int = 256) -> Path:
    """(1,512), (1,3,S,S) in [-1,1] -> the vector's colour everywhere, and a mask of 0.25."""
    constants = {**_shared(), "two": np.array(2, np.float32), "one": np.array(1, np.float32)}
    constants |= {
        "zero": np.array(0, np.float32),
        "quarter": np.array(0.25, np.float32),
        "axes": np.array([1], np.int64),
    }
    nodes = [
        *_colour(),
        ("Mul", ["colour", "two"], ["scaled"], {}),
        ("Sub", ["scaled", "one"], ["shade"], {}),
        ("Mul", ["target", "zero"], ["nothing"], {}),
        ("Add", ["nothing", "shade"], ["output"], {}),
        ("ReduceSum", ["nothing", "axes"], ["plane"], {"keepdims": 1}),
        ("Add", ["plane", "quarter"], ["mask"], {}),
    ]
    picture = (1, 3, side, side)
    inputs = {"source": (1, 512), "target": picture}
    return save(path, nodes, inputs, {"output": picture, "mask": (1, 1, side, side)}, constants)


def _weights() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((512, 3)).astype(np.float32)


def _shared() -> dict[str, np.ndarray]:
    return {"weights": _weights(), "ten": np.array(10, np.float32), "shape": np.array([1, 3, 1, 1], np.int64)}


def _colour() -> list[tuple[str, list[str], list[str], dict[str, object]]]:
    return [
        ("MatMul", ["source", "weights"], ["raw"], {}),
        ("Mul", ["raw", "ten"], ["steep"], {}),
        ("Sigmoid", ["steep"], ["flat"], {}),
        ("Reshape", ["flat", "shape"], ["colour"], {}),
    ]
