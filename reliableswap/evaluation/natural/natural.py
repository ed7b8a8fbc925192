"""Compute "told from photos" for every method, from the views of results and of real photos."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from reliableswap.evaluation.protocols.shots import Pair, Shot
from reliableswap.evaluation.results import ExaminedFace, MethodResult
from reliableswap.evaluation.work import Instruments, Work
from reliableswap.faces.face import Face

from .comparison import Plan, compare
from .views import FaceViews, Viewer

_LOG_EVERY = 50  # photos

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Natural:
    """The viewer, and real photos of the same kind to compare with, in addition to the pairs' own photos."""

    viewer: Viewer
    photos: Sequence[Shot] = ()


@dataclass(frozen=True, eq=False)
class RealPhotos:
    """The plan of comparisons, and the views of its photos by their index in the plan."""

    plan: Plan
    views: Mapping[int, FaceViews] = field(default_factory=dict)

    @property
    def people(self) -> int:
        return len({self.plan.photos[number] for number in self.views})


def view_photos(
    natural: Natural, pairs: Sequence[Pair], faces: Mapping[Shot, ExaminedFace], work: Work, seed: int
) -> RealPhotos:
    """Plan the comparisons and view the photos that they need; raise if there are too few."""
    found = {shot: examined.face for shot, examined in faces.items()}
    for one in work(_found, [shot for shot in natural.photos if shot not in found], lambda shot: (shot,)):
        found |= one
    shots = list(found)
    people = [(pair.source.person, pair.target.person) for pair in pairs]
    plan = Plan.make(people, [shot.person for shot in shots], seed)
    views = {}
    seen = work(_viewed, [(shots[n], found[shots[n]]) for n in plan.used], lambda item: item[:1])
    for count, (number, one_view) in enumerate(zip(plan.used, seen, strict=True), 1):
        views[number] = one_view
        if count % _LOG_EVERY == 0 or count == len(plan.used):
            logger.info("extracted the features of %d of %d real photos", count, len(plan.used))
    return RealPhotos(plan, views)


def _found(instruments: Instruments, shot: Shot) -> dict[Shot, Face]:
    """A task: the face of a photo, if it shows one."""
    return instruments.examiner.find_all([shot])


def _viewed(instruments: Instruments, item: tuple[Shot, Face]) -> FaceViews:
    """A task: the views of a photo's face."""
    assert instruments.viewer is not None
    shot, face = item
    return instruments.viewer(shot.read(), face)


def add_told_from_photos(result: MethodResult, real: RealPhotos, seed: int) -> None:
    """Add the estimates to a method, and each result's share of comparisons to its metrics."""
    pairs = [one.pair for one in result.pairs]
    groups = [pair.clip or pair.name for pair in pairs]
    is_video = any(pair.clip is not None for pair in pairs)
    seen = {i: one.views for i, one in enumerate(result.pairs) if one.views is not None}
    for network in Viewer.NETWORKS:
        by_whole, _ = compare(_whole(seen, network), _whole(real.views, network), real.plan)
        by_face, by_patch = compare(_patches(seen, network), _patches(real.views, network), real.plan)
        for kind, one in {"whole": by_whole, "patches": by_face, "patch": by_patch}.items():
            estimate = one.estimate(real.plan, seed, groups, is_video)
            if estimate is None:
                continue
            key = f"told_{kind}_{network}"
            result.estimates[key], result.told_photos[key] = estimate, one.photos
            for pair, share in zip(result.pairs, one.results, strict=True):
                if np.isfinite(share):
                    pair.metrics[key] = float(share)
    logger.info("%s: compared with %d real photos", result.name, len(real.views))


def _whole(views: Mapping[int, FaceViews], network: str) -> dict[int, np.ndarray]:
    return {number: one.whole[network] for number, one in views.items()}


def _patches(views: Mapping[int, FaceViews], network: str) -> dict[int, np.ndarray]:
    return {number: one.patches[network] for number, one in views.items()}
