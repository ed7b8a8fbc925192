"""Ten people's photos with made-up labels: what is tested is the machinery, not the teachers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.face_labels import SIZE, face_mesh, store_labels
from support.people import person

from reliableswap.data.photos import list_photos
from reliableswap.data.splits import holds_out
from reliableswap.faces.face import five_points


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    names = [f"person{i}" for i in range(100)]
    kept = [name for name in names if holds_out(name)][:2]
    for number, name in enumerate(kept + [n for n in names if n not in kept][:8], start=1):
        (folder / name).mkdir()
        portrait = Image.open(person(number)).convert("RGB").resize((SIZE, SIZE))
        portrait.save(folder / name / "1.png")
    mesh = np.stack([face_mesh(rng) for _ in list_photos(folder)])
    rows = [np.concatenate([m[:, :2].min(0), m[:, :2].max(0), five_points(m).ravel(), [0.95]]) for m in mesh]
    mirrored = mesh * (-1, 1, 1) + (SIZE - 1, 0, 0)
    store_labels(folder, np.stack(rows), mesh, mirrored)
    return folder
