"""The text of the blend engine's data files."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from tools.look_classifiers import Classifier
from tools.person_shape import PersonFilter
from tools.triangulate import RINGS


def topology_json(triangles: np.ndarray, mirror: np.ndarray, mean: np.ndarray) -> str:
    """geometry/topology.json: triangles (T,3), mirror (468,), the mean face (468,3), and the named rings."""
    rows = {
        "triangles": triangles.tolist(),
        "mirror": mirror.tolist(),
        "canonical": (np.round(mean, 4) + 0.0).tolist(),  # turns -0.0 into 0.0
    }
    lines = [f" {json.dumps(name)}: {_compact(value)}" for name, value in rows.items()]
    rings = ",\n".join(f" {json.dumps(name)}: {_compact(ring)}" for name, ring in RINGS.items())
    return "{\n" + ",\n".join([*lines, f' "regions": {{\n{rings}\n}}']) + "\n}\n"


def shape_json(filter: PersonFilter) -> str:
    """geometry/shape.json: the filter's factors in half precision."""
    data = {
        "modes": filter.analyse.shape[1],
        "analyse": _half_precision(filter.analyse),
        "synthesise": _half_precision(filter.synthesise),
    }
    return json.dumps(data, indent=1) + "\n"


def looks_json(looks: Mapping[str, Classifier]) -> str:
    """faces/looks.json: the classifiers' weights in half precision."""
    data = {
        name: {"bias": round(look.bias, 4), "weights": _half_precision(look.weights)}
        for name, look in looks.items()
    }
    return json.dumps(data, indent=1) + "\n"


def figures_json(figures: Mapping[str, Mapping[str, float]]) -> str:
    """The fits' figures to four digits."""
    rounded = {part: {name: round(value, 4) for name, value in of.items()} for part, of in figures.items()}
    return json.dumps(rounded, indent=1) + "\n"


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _half_precision(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values, "<f2").tobytes()).decode()
