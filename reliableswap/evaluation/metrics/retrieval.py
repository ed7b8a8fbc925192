"""Identity retrieval: is the source's person the nearest one in a gallery of real photos?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from reliableswap.evaluation.protocols.shots import Shot
from reliableswap.evaluation.results import ExaminedFace, PairResult


def ranks(
    queries: np.ndarray, wanted: Sequence[str], gallery: np.ndarray, people: Sequence[str]
) -> np.ndarray:
    """Queries (N,D), gallery (M,D) -> (N,) the rank of each query's wanted person; 1 is the nearest.

    people: the person of each gallery entry. A person is as near as the nearest of their entries. A tie counts against
    the query, so that identical vectors do not look like success.
    """
    names = sorted(set(people))
    index = {name: i for i, name in enumerate(names)}
    missing = sorted(set(wanted) - index.keys())
    if missing:
        raise ValueError(f"the gallery has no photo of {missing[0]}, whom a query looks for; add one")
    owner = np.array([index[name] for name in people])
    similarity = queries @ gallery.T
    best = np.full((len(queries), len(names)), -np.inf)
    for person in range(len(names)):
        best[:, person] = similarity[:, owner == person].max(1)
    own = best[np.arange(len(queries)), [index[name] for name in wanted]]
    # The wanted person counts too, so ranks begin at 1.
    return np.asarray((best >= own[:, None]).sum(1))


def add_retrieval(results: Sequence[PairResult], faces: dict[Shot, ExaminedFace]) -> None:
    """Add the retrieval metrics to each result that was not refused, in the gallery of all sources and targets."""
    shots = list(dict.fromkeys(s for one in results for s in (one.pair.source, one.pair.target)))
    _rank(results, shots, faces, _identity, {"top1": 1, "top5": 5})
    _add_reference_retrieval(results, faces)
    if any(one.face is not None and one.face.lower is not None for one in results):
        _rank(results, shots, faces, _lower_face, {"lower_top1": 1})


def _add_reference_retrieval(results: Sequence[PairResult], faces: dict[Shot, ExaminedFace]) -> None:
    """Leave the photos that methods were given out of the gallery, so that copying one does not help."""
    judged = [one for one in results if one.pair.reference is not None]
    given = {one.pair.source for one in results}
    candidates = [one.pair.reference for one in judged] + [one.pair.target for one in results]
    shots = list(dict.fromkeys(s for s in candidates if s is not None and s not in given))
    shown = {shot.person for shot in shots}
    judged = [one for one in judged if one.pair.source.person in shown]
    _rank(judged, shots, faces, _identity, {"reference_top1": 1})


def _rank(
    results: Sequence[PairResult],
    shots: Sequence[Shot],
    faces: dict[Shot, ExaminedFace],
    vector: Callable[[ExaminedFace], np.ndarray],
    limits: dict[str, int],
) -> None:
    """Add metric -> 1 where the wanted person ranks within its limit, else 0; a failed pair counts as a miss."""
    for one in results:
        if not one.refused:
            one.metrics |= dict.fromkeys(limits, 0.0)
    found = [(one, one.face) for one in results if one.face is not None]
    if not found:
        return
    gallery = np.stack([vector(faces[shot]) for shot in shots])
    queries = np.stack([vector(face) for _, face in found])
    wanted = [one.pair.source.person for one, _ in found]
    for (one, _), rank in zip(found, ranks(queries, wanted, gallery, [s.person for s in shots]), strict=True):
        one.metrics |= {key: float(rank <= limit) for key, limit in limits.items()}


def _identity(face: ExaminedFace) -> np.ndarray:
    return face.vector


def _lower_face(face: ExaminedFace) -> np.ndarray:
    if face.lower is None:
        raise ValueError(
            "some faces were examined with the lower-face judge and some without it; use it for all"
        )
    return face.lower
