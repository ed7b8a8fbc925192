"""Person: a source identity, prepared once from one or several photos and used for any number of faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from reliableswap.geometry.measures import onto_mean_face
from reliableswap.provenance.origin import Origin

from .networks import Networks
from .subject import Subject


@dataclass(frozen=True, eq=False)
class Person:
    """The identity of one person; vectors and face shape are averages over the photos.

    name: what reports call the source. subjects: the face in each photo, at least one. origins: what the photos were
    read from, for the record of provenance. decoder: the name of the decoder that was trained for this person.
    """

    name: str
    subjects: tuple[Subject, ...]
    origins: tuple[Origin, ...] = ()
    decoder: str | None = None

    def bound_to(self, networks: Networks) -> Person:
        """Return the person for these networks; results of other networks are dropped."""
        if networks.agrees_with(self.subjects[0].networks):
            return self
        return replace(self, subjects=tuple(replace(one, networks=networks) for one in self.subjects))

    @cached_property
    def v_id(self) -> np.ndarray:
        """(1,D) the identity vector, of length one."""
        return mean_direction([subject.v_id for subject in self.subjects])

    @cached_property
    def v_fix(self) -> np.ndarray | None:
        """(1,D) the lower-face vector; None without a FixerNet."""
        vectors = [subject.v_fix for subject in self.subjects if subject.v_fix is not None]
        return mean_direction(vectors) if vectors else None

    @cached_property
    def adapted(self) -> np.ndarray | None:
        """(1,D) the output of the generator's adapter, averaged over the photos; None without one."""
        vectors = [subject.adapted for subject in self.subjects if subject.adapted is not None]
        return np.concatenate(vectors).mean(0, keepdims=True) if vectors else None

    @cached_property
    def shape_mesh(self) -> np.ndarray:
        """(468,3) a mesh with the person's proportions; its pose has no meaning."""
        if len(self.subjects) == 1:
            return self.subjects[0].mesh
        return np.mean([_without_pose(subject.mesh) for subject in self.subjects], axis=0).astype(np.float32)

    def nearest_in_pose(self, mesh: np.ndarray) -> Subject:
        """The photo whose head pose is nearest to a mesh's: its texture covers most of the target."""
        if len(self.subjects) == 1:
            return self.subjects[0]
        wanted = onto_mean_face(mesh)[1]
        angles = [_angle(onto_mean_face(subject.mesh)[1], wanted) for subject in self.subjects]
        return self.subjects[int(np.argmin(angles))]


def mean_direction(vectors: Sequence[np.ndarray]) -> np.ndarray:
    """(1,D) the mean of the vectors' directions, with the vectors' mean length; one vector stays as it is."""
    if len(vectors) == 1:
        return vectors[0]
    stacked = np.concatenate(list(vectors))
    length = np.linalg.norm(stacked, axis=1).mean()
    return directions(directions(stacked).mean(0, keepdims=True)) * length


def directions(vectors: np.ndarray) -> np.ndarray:
    """(N,D) the vectors normalised to length one."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), np.float32)


def _without_pose(mesh: np.ndarray) -> np.ndarray:
    scale, rotation, shift = onto_mean_face(mesh)
    return np.asarray(scale * mesh @ rotation + shift)


def _angle(one: np.ndarray, other: np.ndarray) -> float:
    """The angle between two rotations (3,3) in radians."""
    return float(np.arccos(np.clip((np.trace(one.T @ other) - 1) / 2, -1, 1)))
