"""Measures of a photo."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from support.triplet_people import aligned

from reliableswap.data.augment import flipped
from reliableswap.geometry.topology import topology
from reliableswap.triplets import quality
from reliableswap.triplets.settings import QualitySettings


def test_head_angles_follow_a_turned_mesh() -> None:
    mesh = topology().canonical * 60
    for axis, (yaw, pitch) in ((1, (20.0, 0.0)), (0, (0.0, 20.0))):
        angle = np.radians(20)
        turn = cv2.Rodrigues(np.eye(3)[axis] * angle)[0]
        found = quality.head_angles((mesh @ turn.T).astype(np.float32))
        assert np.abs(found) == pytest.approx((yaw, pitch), abs=0.01)
    face = aligned(7, "amateur_selfie")
    yaw, pitch = quality.head_angles(face.mesh)
    other_yaw, other_pitch = quality.head_angles(flipped(face).mesh)
    assert other_yaw == pytest.approx(-yaw, abs=1.0)
    assert other_pitch == pytest.approx(pitch, abs=1.0)


def test_light_slopes_point_towards_the_light() -> None:
    face = aligned(2).crop
    ramp = np.linspace(0.5, 1.0, 128)
    lit = (face * ramp[None, :, None]).astype(np.uint8)
    assert quality.light_slopes(lit)[0] > quality.light_slopes(face)[0] + 5
    assert quality.light_slopes(lit[:, ::-1])[0] < -5
    lit_below = (face * ramp[:, None, None]).astype(np.uint8)
    assert quality.light_slopes(lit_below)[1] > quality.light_slopes(face)[1] + 5


def test_each_fault_has_its_reason() -> None:
    face, limits = aligned(1), QualitySettings()
    fine = quality.measure(face.crop, face.mesh, 0.6, 0.9, 0.05)
    assert not any(quality.faults(fine, limits).values())
    faults = {"small": 1.6, "unsure": 0.5, "turned": 50.0, "clipped": 0.2, "covered": 0.5, "blurred": 0.1}
    fields = ("enlargement", "score", "yaw", "clipped", "covered", "sharpness")
    for (reason, value), name in zip(faults.items(), fields, strict=True):
        worse = dataclasses.replace(fine, **{name: value})
        assert [name for name, faulty in quality.faults(worse, limits).items() if faulty] == [reason]
        assert quality.quality(worse) < quality.quality(fine)
    burnt = np.full_like(face.crop, 255)
    assert quality.clipped_share(burnt, face.mesh) == 1
    assert quality.clipped_share(face.crop, face.mesh) < 0.05


def test_many_photos_are_judged_as_one_is(rng: np.random.Generator) -> None:
    names = [one.name for one in dataclasses.fields(quality.Measures) if one.name != "light"]
    values = {name: rng.uniform(0, 2, 300) for name in names}
    values["yaw"], values["pitch"] = rng.normal(0, 40, 300), rng.normal(0, 30, 300)
    values["clipped"], values["covered"] = rng.uniform(0, 0.2, (2, 300))
    many = quality.Measures(**values, light=(0.0, 0.0, 0.0))
    found, limits = quality.quality(many), QualitySettings()
    for i in range(300):
        one = quality.Measures(**{k: float(v[i]) for k, v in values.items()}, light=(0.0, 0.0, 0.0))
        assert found[i] == quality.quality(one)
        for reason, faulty in quality.faults(many, limits).items():
            assert faulty[i] == quality.faults(one, limits)[reason]
