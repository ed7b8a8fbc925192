"""The gates of a swap: what they look at, in which order, and what a refusal says."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol
from weakref import WeakKeyDictionary

import numpy as np

from reliableswap.errors import RefusedError

from .age import YOUNGEST, AgeEstimate, SeenFace, age_nets
from .nudity import BODY_LIMIT, WHOLE_LIMIT, around, nudity_net

logger = logging.getLogger(__name__)

_THREADS = 2
SAME_VIEW = 0.8  # a view that covers this share of the picture shows nothing else


class Source(Protocol):
    """What the gates need of a `Person`."""

    @property
    def name(self) -> str: ...

    @property
    def subjects(self) -> tuple[SeenFace, ...]: ...


class Gates:
    """Refuses nudity and faces that may be a minor's; if it can't look, it refuses too.

    counts: how many targets and results were checked and how many were refused, by reason. Nothing else is kept.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._ages: WeakKeyDictionary[SeenFace, AgeEstimate] = WeakKeyDictionary()

    def shows_nudity(self, pixels: np.ndarray) -> bool:
        """Whether a picture (H,W,3) uint8 as a whole shows nudity."""
        return self._nude(pixels, WHOLE_LIMIT)

    def check_inputs(
        self,
        pixels: np.ndarray,
        name: str,
        faces: Mapping[int, SeenFace],
        sources: Iterable[Source],
        nude: bool | None = None,
    ) -> dict[int, RefusedError]:
        """Check a target (H,W,3) uint8 with its chosen faces by number, and the sources.

        Raise RefusedError for nudity and for a source that may be a minor. Return the refusals of target faces, so
        that a caller can leave these alone and swap others. nude: what `shows_nudity` said of the target, if it was
        asked already.
        """
        self.counts["targets"] += 1
        sources = list(sources)
        seen = [*faces.values(), *(subject for source in sources for subject in source.subjects)]
        with ThreadPoolExecutor(_THREADS) as pool:
            looks = self._look(pool, pixels, [one.face.box for one in faces.values()])
            if nude is None:
                looks.append(pool.submit(self.shows_nudity, pixels))
            minors = {one for one in seen if self.may_be_minor(one)}
            found = [nude, *(look.result() for look in looks)]
        if any(found) and minors:
            raise self.refusal("both", "the swap was refused", report=False)
        if any(found):
            raise self.refusal("nudity", f"the swap was refused: {name} seems to show nudity")
        for source in sources:
            if minors.intersection(source.subjects):
                raise self.refusal("age", f"the swap was refused: {_may_be_minor(source.name)}")
        return {
            number: self.refusal("age", f"the swap was refused: {_may_be_minor(name, number)}")
            for number, one in faces.items()
            if one in minors
        }

    def check_result(self, pixels: np.ndarray, name: str, boxes: Iterable[np.ndarray]) -> None:
        """Raise RefusedError if a result (H,W,3) uint8 shows nudity; boxes (4,): the swapped faces."""
        self.counts["results"] += 1
        with ThreadPoolExecutor(_THREADS) as pool:
            looks = [pool.submit(self.shows_nudity, pixels), *self._look(pool, pixels, boxes)]
            found = [look.result() for look in looks]
        if any(found):
            raise self.refusal("nudity", f"the result was refused: the swap into {name} seems to show nudity")

    def check_aged(self, seen: SeenFace, name: str, change: float) -> float:
        """Check a swapped face that was made `change` years older, or younger; return how many years it seems to have.

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

    def _look(self, pool: Executor, pixels: np.ndarray, boxes: Iterable[np.ndarray]) -> list[Future[bool]]:
        """Look at each face with its upper body, unless that is nearly the picture itself."""
        area = pixels.shape[0] * pixels.shape[1]
        views = [around(pixels, box) for box in boxes]
        smaller = [view for view in views if view.shape[0] * view.shape[1] < SAME_VIEW * area]
        return [pool.submit(self._nude, view, BODY_LIMIT) for view in smaller]

    def _nude(self, view: np.ndarray, limit: float) -> bool:
        """Whether a view shows nudity; a score that is no number counts as nudity."""
        with self.refusing("nudity"):
            return not nudity_net().score(view) < limit

    @contextmanager
    def refusing(self, gate: str) -> Iterator[None]:
        """Inside, any failure is a refusal: a gate that can't look lets nothing through."""
        try:
            yield
        except Exception as error:
            logger.warning("the %s check failed", gate, exc_info=True)
            reason = " ".join(str(error).split()) or type(error).__name__
            raise self.refusal(
                "unchecked",
                f"the swap was refused: the {gate} check can't run ({reason[:200].rstrip('.')}); "
                "install the package with its dependencies again",
                report=False,
            ) from error

    def refusal(self, reason: str, text: str, report: bool = True) -> RefusedError:
        """Count a refusal and return its error; `report`: whether it says where to report a mistake."""
        self.counts[f"refused: {reason}"] += 1
        return RefusedError(
            f"{text}; if that is wrong, please report it: {report_address()}" if report else text
        )


def aged_refusal(name: str, change: float, estimate: AgeEstimate) -> str:
    """What is said of a result whose face was made too young."""
    if estimate.may_be_minor:
        return f"the result was refused: after a change of {change:+g} years, {_may_be_minor(name)}"
    return (
        f"the result was refused: {-change:g} years younger the face in {name} looks {estimate.years:.0f}, and "
        f"results look {YOUNGEST:.0f} or older; choose fewer years"
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
