"""The machine-readable report: JSON, and a CSV of every pair."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reliableswap.evaluation.metrics.definitions import METRICS
from reliableswap.evaluation.metrics.features import distance_name
from reliableswap.evaluation.metrics.intervals import Estimate
from reliableswap.evaluation.protocols.shots import Shot
from reliableswap.evaluation.results import Evaluation

from .info import RunInfo
from .tables import failures, refusals, shown_metrics


def as_json(evaluation: Evaluation, info: RunInfo) -> str:
    """Facts of the run, and for each method its estimates, distances and failures."""
    methods = {
        method.name: {
            "control": method.control,
            "figures": {key: _figures(estimate) for key, estimate in method.estimates.items()},
            "frechet_others": method.frechet_others,
            "frechet_photos": method.frechet_photos,
            "frechet": method.frechet,
            "frechet_sources": method.frechet_sources,
            "failures": dict(failures(method)),
            "refusals": dict(refusals(method)),
        }
        for method in evaluation.methods
    }
    document: dict[str, Any] = {
        "facts": asdict(info),
        "pairs": len(evaluation.pairs),
        "left_out": evaluation.left_out,
        "calibration": evaluation.calibration,
        "figures": {m.key: {"label": m.label, "better": m.better, "unit": m.unit} for m in METRICS},
        "frechet": distance_name(info.features) if info.features else None,
        "other_photos": evaluation.others,
        "real_photos": evaluation.real_photos,
        "real_people": evaluation.real_people,
        "best": evaluation.best,
        "frechet_differences": [asdict(one) for one in evaluation.frechet_differences],
        "methods": methods,
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(evaluation: Evaluation) -> str:
    """One line per method and pair with unrounded values; empty where a metric was not measured."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    keys = [metric.key for metric in shown_metrics(evaluation)]
    writer.writerow(["method", "pair", "source_person", "target_person", *keys, "refused", "failure"])
    for method in evaluation.methods:
        for one in method.pairs:
            values = [one.metrics.get(key, math.nan) for key in keys]
            shown = ["" if math.isnan(value) else repr(value) for value in values]
            people = [_person(one.pair.source), _person(one.pair.target)]
            writer.writerow([method.name, one.pair.name, *people, *shown, int(one.refused), one.failure])
    return stream.getvalue()


def _figures(estimate: Estimate) -> dict[str, Any]:
    """An estimate; null where it has no interval."""
    return {key: value if math.isfinite(value) else None for key, value in asdict(estimate).items()}


def _person(shot: Shot) -> str:
    """The person's name; the file's name if the person is known only by the photo's path."""
    return Path(shot.person).name if shot.person == str(shot.path) else shot.person
