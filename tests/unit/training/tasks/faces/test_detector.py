"""The detector's targets, losses and figures."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from support.face_labels import white_face

from reliableswap.models.detector import FaceDetector
from reliableswap.training.tasks.faces import detector as detector_training
from reliableswap.training.tasks.faces.labels import label_photos
from reliableswap.training.tasks.faces.mosaic import LabelledFace


def test_the_cell_at_the_centre_is_positive_and_uncertain_faces_are_ignored() -> None:
    sure = LabelledFace(np.array([40, 40, 80, 80], np.float32), np.full((5, 2), 60, np.float32), True)
    unsure = dataclasses.replace(sure, box=np.array([100, 100, 140, 140], np.float32), certain=False)
    wanted = detector_training.targets([sure, unsure], 160)
    finest = wanted[:400].reshape(20, 20, 15)
    assert finest[7, 7, 0] == 1
    assert finest[7, 7, 1:5] == pytest.approx([60, 60, np.log(40), np.log(40)])
    assert finest[15, 15, 0] == -1
    assert finest[0, 0, 0] == 0
    assert (wanted[:, 0] == 1).sum() < 12


def test_every_detector_loss_moves_the_network(photos: Path) -> None:
    settings = detector_training.DetectorSettings(
        faces=photos, teachers=photos, labels=photos / "labels", canvas=96
    )
    labels = label_photos(photos, photos, photos / "labels")
    task = detector_training.DetectorTask(settings, labels)
    learnt, kept = len(task.dataset.indices), len(task.held_out.indices)
    said = task.facts()["photos"]
    assert said == f"{len(labels.photos)}; {learnt} with a face to train on, {kept} of held-out people"
    torch.manual_seed(0)
    network = FaceDetector()
    batch = torch.utils.data.default_collate([task.dataset[i] for i in range(6)])
    before = {key: value.clone() for key, value in batch.items()}
    losses = task.losses(network, batch)
    assert set(losses) == {"score", "box", "points"}
    for name, loss in losses.items():
        grads = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True, allow_unused=True)
        size = sum(float(g.abs().sum()) for g in grads if g is not None)
        assert 0 < size < float("inf"), name
    assert all(torch.equal(batch[key], before[key]) for key in batch)


def test_perfect_answers_score_one_and_wrong_ones_do_not() -> None:
    face = white_face().faces[0]
    row = np.concatenate([face.box, face.points5.ravel(), [0.9]])[None].astype(float)
    tally = detector_training.Tally()
    tally.add(row, [face])
    assert tally.figures() == {"recall": 1.0, "precision": 1.0, "point_error": 0.0}
    tally.add(row + 200, [face])
    assert tally.figures()["recall"] == tally.figures()["precision"] == 0.5
