"""Labels of photos: who is held out, and when stored answers are used again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reliableswap.data.photos import list_photos
from reliableswap.data.splits import holds_out
from reliableswap.errors import ReliableSwapError
from reliableswap.training.tasks.faces.labels import label_photos, labels_key
from reliableswap.training.tasks.faces.teachers import teacher_files


def test_held_out_people_are_those_of_the_one_rule(photos: Path) -> None:
    labels = label_photos(photos, photos, photos / "labels")
    learnt, kept = ({labels.photos[i].identity for i in labels.rows(training)} for training in (True, False))
    assert (len(learnt), len(kept)) == (8, 2)
    assert all(holds_out(name) for name in kept)
    assert not any(holds_out(name) for name in learnt)


def test_a_photo_without_a_mesh_is_in_no_split(photos: Path) -> None:
    labels = label_photos(photos, photos, photos / "labels")
    row = labels.rows(training=True)[0]
    labels.meshes = labels.meshes.copy()
    labels.meshes[row] = np.nan
    assert row not in labels.rows(training=True) + labels.rows(training=False)
    labels.meshes[:] = np.nan
    with pytest.raises(ReliableSwapError, match="none of the 10 photos shows a face of the held-out people"):
        labels.rows(training=False)


def test_the_key_follows_names_and_sizes_of_photos_and_teachers(photos: Path, tmp_path: Path) -> None:
    found = list_photos(photos)
    key = labels_key(found, tmp_path)
    assert labels_key(found[1:], tmp_path) != key
    (tmp_path / "facemesh_468.onnx").write_bytes(b"weights")
    assert labels_key(found, tmp_path) != key
    key = labels_key(found, tmp_path)
    (tmp_path / "facemesh_attention_fp16.onnx").write_bytes(b"others")  # takes over as the teacher of meshes
    assert labels_key(found, tmp_path) != key
    assert [path.name for path in teacher_files(tmp_path)] == ["facemesh_attention_fp16.onnx"]
