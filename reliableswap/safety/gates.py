"""The gates of a swap: what they check, in which order, and what a refusal says."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakKeyDictionary

import numpy as np

from reliableswap.errors import RefusedError
from reliableswap.runtime.threads import worker_pool

from .age import YOUNGEST, AgeEstimate, SeenFace, age_nets
from .nudity import LIMIT, nudity_net, views_of
from .views import HARMLESS, alike

logger = logging.getLogger(__name__)

_THREADS = 2


class Source(Protocol):
    """The part of a `Person` that the gates need."""

    @property
    def name(self) -> str: ...

    @property
    def subjects(self) -> tuple[SeenFace, ...]: ...


@dataclass(frozen=True)
class CheckedTarget:
    """The result of checking a target that may be swapped.

    refused: number -> error, for faces that must be left alone. harmless: no view of the target scored near nudity.
    """

    refused: dict[int, RefusedError]
    harmless: bool


class Gates:
    """Refuse nudity, faces that may be a minor's, and whatever can't be checked.

    counts: how many targets and results were checked and how many were refused, by reason. Nothing else is kept.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._ages: WeakKeyDictionary[SeenFace, AgeEstimate] = WeakKeyDictionary()

    def score(self, pixels: np.ndarray) -> float:
        """How likely a picture (H,W,3) uint8 as a whole shows nudity; NaN counts as nudity."""
        with self.refusing("nudity"):
            return nudity_net().score(pixels)

    def shows_nudity(self, pixels: np.ndarray) -> bool:
        """Whether a picture (H,W,3) uint8 as a whole shows nudity."""
        return not self.score(pixels) < LIMIT

    def check_inputs(
        self,
        pixels: np.ndarray,
        name: str,
        faces: Mapping[int, SeenFace],
        sources: Iterable[Source],
        score: float | None = None,
    ) -> CheckedTarget:
        """Check a target (H,W,3) uint8 with its chosen faces by number, and the sources.

        Raise RefusedError for nudity and for a source that may be a minor. Target faces that may be minors' are
        returned, so that a caller can leave these alone and swap others. score: what `score` returned for the target,
        if already known.
        """
        self.counts["targets"] += 1
        sources = list(sources)
        seen = [*faces.values(), *(subject for source in sources for subject in source.subjects)]
        with worker_pool(_THREADS) as pool:
            whole, *bodies = views_of(pixels, (one.face.box for one in faces.values()))
            views = [whole, *bodies] if score is None else bodies
            looks = [pool.submit(self.score, view) for view in views]
            minors = {one for one in seen if self.may_be_minor(one)}
            scores = [look.result() for look in looks]
        if score is not None:
            scores.append(score)
        nude = _any_nude(scores)
        if nude and minors:
            raise self.refusal("both", "the swap was refused", report=False)
        if nude:
            raise self.refusal("nudity", f"the swap was refused: {name} seems to show nudity")
        for source in sources:
            if minors.intersection(source.subjects):
                raise self.refusal("age", f"the swap was refused: {_may_be_minor(source.name)}")
        refused = {
            number: self.refusal("age", f"the swap was refused: {_may_be_minor(name, number)}")
            for number, one in faces.items()
            if one in minors
        }
        return CheckedTarget(refused, all(one < HARMLESS for one in scores))

    def check_result(
        self, pixels: np.ndarray, name: str, boxes: Sequence[np.ndarray], harmless: np.ndarray | None = None
    ) -> None:
        """Raise RefusedError if a result (H,W,3) uint8 shows nudity; boxes (4,): the swapped faces.

        harmless (H,W,3) uint8: the target, if it was found harmless. A view that looks like the target's is then not
        checked.
        """
        self.counts["results"] += 1
        views = views_of(pixels, boxes)
        if harmless is not None:
            before = views_of(harmless, boxes)
            views = [one for one, old in zip(views, before, strict=True) if not alike(one, old)]
        with worker_pool(_THREADS) as pool:
            looks = [pool.submit(self.score, view) for view in views]
            scores = [look.result() for look in looks]
        if _any_nude(scores):
            raise self.refusal("nudity", f"the result was refused: the swap into {name} seems to show nudity")

    def check_aged(self, seen: SeenFace, name: str, change: float) -> float:
        """Check a swapped face that was made `change` years older, or younger; return its apparent age.

        Raise RefusedError if it may be a minor's, or was made younger and looks younger than YOUNGEST.
        """
        with self.refusing("age"):
            estimate = age_nets().estimate(seen, both=True)
            assert estimate.years is not None
        if estimate.too_young(change):
            raise self.refusal("age", aged_refusal(name, change, estimate), report=False)
        return estimate.years

    def may_be_minor(self, seen: SeenFace) -> bool:
        """Whether a face may be a minor's; the estimate is kept as long as the face is."""
        with self.refusing("age"):
            estimate = self._ages.get(seen)
            if estimate is None:
                estimate = self._ages[seen] = age_nets().estimate(seen)
            return estimate.may_be_minor

    @contextmanager
    def refusing(self, gate: str) -> Iterator[None]:
        """Turn any failure inside into a refusal: a gate that can't check lets nothing through."""
        try:
            yield
        except Exception as error:
            logger.warning("the %s check failed", gate, exc_info=True)
            reason = " ".join(str(error).split()) or type(error).__name__
            raise self.refusal(
                "unchecked",
                f"the swap was refused: the {gate} check can't run ({reason[:200].rstrip('.')}); "
                "reinstall the package with its dependencies",
                report=False,
            ) from error

    def refusal(self, reason: str, text: str, report: bool = True) -> RefusedError:
        """Count a refusal and return its error; report: whether to say where to report a mistake."""
        self.counts[f"refused: {reason}"] += 1
        return RefusedError(
            f"{text}; if that is wrong, please report it: {report_address()}" if report else text
        )


def _any_nude(scores: Iterable[float]) -> bool:
    """Whether any score means nudity; NaN does."""
    return any(not score < LIMIT for score in scores)


def aged_refusal(name: str, change: float, estimate: AgeEstimate) -> str:
    """Return the refusal's text for a result whose face looks too young after a change of age."""
    if estimate.may_be_minor:
        return f"the result was refused: after a change of {change:+g} years, {_may_be_minor(name)}"
    return (
        f"the result was refused: {-change:g} years younger, the face in {name} looks {estimate.years:.0f}, but "
        f"results must look {YOUNGEST:.0f} or older; choose fewer years"
    )


def report_address() -> str:
    """Where to report a wrong refusal: RELIABLESWAP_REPORT_ADDRESS, a Space's discussions, or what SECURITY.md says."""
    given = " ".join(os.environ.get("RELIABLESWAP_REPORT_ADDRESS", "").split())
    if given:
        return given
    space = os.environ.get("SPACE_ID")
    if space:
        return f"https://huggingface.co/spaces/{space}/discussions"
    return "see SECURITY.md, and send no photo"


def _may_be_minor(name: str, number: int | None = None) -> str:
    face = "the face" if number is None else f"face {number}"
    return f"{face} in {name} may be that of a person under 18"
