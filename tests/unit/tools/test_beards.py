"""The fit of faces/beards.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.people import portrait

from reliableswap.errors import ReliableSwapError
from reliableswap.faces.beards import TERMS
from tools.beards import KINDS, BeardSettings, Sample, fit, kind_of, run


def labels(gender: str = "male", beard: float = 0.0, moustache: float = 0.0) -> dict[str, Any]:
    hair = {"beard": beard, "moustache": moustache}
    return {
        "gender": gender,
        "facialHair": hair,
        "glasses": "NoGlasses",
        "occlusion": {"mouthOccluded": False},
    }


def test_labels_say_the_kind() -> None:
    found = [
        kind_of(one)
        for one in (labels("female", 0.1), labels(beard=0.1), labels(moustache=0.4), labels(beard=0.6))
    ]
    assert tuple(found) == KINDS
    with pytest.raises(ReliableSwapError, match=r"facialHair\.beard"):
        kind_of({"gender": "male"})


def test_the_fit_finds_beards_among_held_out_people(rng: np.random.Generator) -> None:
    samples = []
    for number in range(600):
        kind = KINDS[number % 4]
        shares = rng.uniform(0, 1, TERMS).astype(np.float32)
        shares[[1, 6]] = rng.uniform(0.5, 1) if kind == "beard" else rng.uniform(0, 0.4)
        if kind == "between":
            shares[[1, 6]] = 0.45
        samples.append(Sample(shares, kind, held_out=number % 5 == 0))
    found, figures = fit(samples, ridge=0.05)
    assert figures["photos"] == 360
    assert figures["beard_bearded"] > 0.9
    assert max(figures["woman_bearded"], figures["shaven_bearded"]) < 0.05
    assert found.weights[1] > 1


def test_too_few_labelled_faces_are_one_line(tmp_path: Path) -> None:
    Image.fromarray(portrait(1, 200)).save(tmp_path / "00001.png")
    (tmp_path / "labels.json").write_text(json.dumps({"00001": labels("female")}))
    settings = BeardSettings(
        tmp_path, tmp_path / "labels.json", tmp_path / "shares.npz", tmp_path / "out.json"
    )
    with pytest.raises(ReliableSwapError, match="fewer than five faces"):
        run(settings)
    with np.load(tmp_path / "shares.npz") as kept:
        assert kept["shares"].shape == (1, TERMS)
    assert not (tmp_path / "out.json").exists()
