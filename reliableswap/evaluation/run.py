"""Run a whole evaluation: load what the settings name, make the pairs, measure, and describe the run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import cast

from diffusers.utils import logging

from reliableswap import __version__
from reliableswap.errors import ReliableSwapError
from reliableswap.faces.analysers.base import FaceAnalyser
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.jobs.shared import existing
from reliableswap.jobs.units import Executor
from reliableswap.pipelines.image import Engine, ReliableSwapPipeline

from .examine import Examiner
from .held_out import choose_held_out
from .judges.selection import check_judges, open_judge, open_lower_judge
from .measure import evaluate
from .methods import (
    FolderMethod,
    Method,
    PipelineMethod,
    RecompressedTarget,
    SourcePhoto,
    UnchangedTarget,
)
from .metrics import frechet
from .metrics.features import open_features
from .natural.natural import Natural
from .natural.views import Viewer
from .protocols.pairs import make_pairs, photos_of_others, unused_photos
from .protocols.people import find_photos
from .protocols.shots import Pair, Shot
from .report.info import RunInfo
from .results import Evaluation
from .settings import EvaluationSettings
from .work import ChunkMaker, DistributedWork, Instruments


def run(
    settings: EvaluationSettings, command: str = "", executor: Executor | None = None
) -> tuple[Evaluation, RunInfo]:
    """Evaluate; command: how the run was started, for the report; executor: where to measure (default: here)."""
    started = time.perf_counter()
    settings.check_complete()
    examiner = open_examiner(settings)
    viewer = open_viewer(settings)
    pipelines = open_pipelines(settings)
    networks = {method.name: method.networks for method in pipelines}
    shared = check_judges(examiner.judge, examiner.lower, networks, settings.allow_same_judge)
    held_out = held_out_of(settings, pipelines)
    pairs = make_pairs(
        settings.protocol, settings.faces, settings.pairs, settings.seed, held_out, settings.frames
    )
    methods = all_methods(settings, pipelines, examiner.analyser)
    for method in methods:
        if isinstance(method, FolderMethod):
            method.check(pairs)
    others = other_photos(settings, pairs, held_out)
    natural = None if viewer is None else Natural(viewer, natural_photos(settings, pairs, held_out))
    work = (
        None
        if executor is None
        else DistributedWork(
            executor, ChunkMaker(partial(open_instruments, settings), shared_paths(settings))
        )
    )
    evaluation = evaluate(methods, pairs, examiner, settings.seed, others, natural, work)
    info = RunInfo(
        protocol=settings.protocol,
        faces=settings.faces.resolve().name,
        seed=settings.seed,
        held_out=held_out,
        judge=examiner.judge.name,
        lower_judge=examiner.lower.name if examiner.lower else None,
        features=examiner.features.name if examiner.features else None,
        analyser=examiner.analyser.name,
        version=__version__,
        command=command,
        shared=shared,
        trained=_maybe_trained_on(settings, pipelines, held_out),
        seconds=round(time.perf_counter() - started, 1),
    )
    return evaluation, info


def protocol_pairs(settings: EvaluationSettings) -> list[Pair]:
    """Return the pairs that `run` measures, without measuring."""
    held_out = held_out_of(settings, open_pipelines(settings))
    return make_pairs(
        settings.protocol, settings.faces, settings.pairs, settings.seed, held_out, settings.frames
    )


def open_pipelines(settings: EvaluationSettings) -> list[PipelineMethod]:
    """Load each pipeline once, and make a method for each of its engines."""
    methods: list[PipelineMethod] = []
    for choice in settings.pipelines:
        is_bundled = choice.place == "bundled"
        with no_progress_bars():
            pipe = (
                ReliableSwapPipeline.bundled()
                if is_bundled
                else ReliableSwapPipeline.from_pretrained(choice.place)
            )
        if settings.device:
            pipe.on(settings.device)
        pipe.set_progress_bar_config(disable=True)
        label = "bundled" if is_bundled else Path(choice.place).name
        for engine in cast("Sequence[Engine]", choice.engines or ("auto",)):
            name = f"{label}/{pipe.choose_engine(engine)}"
            methods.append(PipelineMethod(pipe, engine, name, settings.keep, **settings.swap))
    return methods


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """Suppress diffusers' progress bars, which loading from disk does not need."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def held_out_of(settings: EvaluationSettings, pipelines: Sequence[PipelineMethod]) -> float | None:
    """The percentage of people to evaluate on, or None for everybody."""
    return choose_held_out(settings.held_out, settings.protocol, _left_out(pipelines))


def _left_out(pipelines: Sequence[PipelineMethod]) -> dict[str, float]:
    """Method -> percent of people that its generator's training left out, for methods with a generator."""
    return {method.name: method.held_out for method in pipelines if method.held_out is not None}


def _maybe_trained_on(
    settings: EvaluationSettings, pipelines: Sequence[PipelineMethod], held_out: float | None
) -> list[str]:
    """The methods whose training may have seen the measured people, where people are known by name."""
    known = settings.protocol == "identity-folders" and held_out is None
    return list(_left_out(pipelines)) if known else []


def open_examiner(settings: EvaluationSettings) -> Examiner:
    """Open the judges and the analyser, which is the bundled one on the CPU for every method."""
    if settings.judge is None:
        raise ReliableSwapError(
            "no judge of identity; give --judge dlib, an ONNX file or an encoder's folder"
        )
    analyser: FaceAnalyser = BundledAnalyser()
    if settings.mesh != "bundled":
        from reliableswap.faces.analysers.facemesh import FaceMesh, WithFaceMesh

        analyser = WithFaceMesh(analyser, FaceMesh(Path(settings.mesh)))
    return Examiner(
        analyser,
        open_judge(settings.judge, settings.judge_mean, settings.judge_std),
        open_lower_judge(settings.lower_judge) if settings.lower_judge else None,
        None if settings.features == "none" else open_features(settings.features),
    )


def all_methods(
    settings: EvaluationSettings, pipelines: Sequence[PipelineMethod], analyser: FaceAnalyser
) -> list[Method]:
    """Pipelines, folders of results and controls; raise if two have the same name."""
    methods: list[Method] = list(pipelines)
    for name, folder in settings.outputs:
        methods.append(FolderMethod(name, folder))
    if settings.controls or settings.natural:
        methods.append(UnchangedTarget())
    if settings.natural:
        methods.append(RecompressedTarget(analyser))
    if settings.controls:
        methods.append(SourcePhoto())
    name, count = Counter(method.name for method in methods).most_common(1)[0]
    if count > 1:
        raise ReliableSwapError(
            f"two methods are called {name}; rename a pipeline's folder, or change a NAME of --outputs"
        )
    return methods


def open_viewer(settings: EvaluationSettings) -> Viewer | None:
    """Return the viewer for --natural; None without it."""
    return Viewer() if settings.natural else None


def open_instruments(settings: EvaluationSettings) -> Instruments:
    """Open the instruments of `run` on a node of a cluster."""
    examiner = open_examiner(settings)
    methods = all_methods(settings, open_pipelines(settings), examiner.analyser)
    return Instruments(examiner, methods, open_viewer(settings))


def shared_paths(settings: EvaluationSettings) -> tuple[Path, ...]:
    """Return the files and folders that every node must see; create the one of --keep."""
    if settings.keep is not None:
        settings.keep.mkdir(parents=True, exist_ok=True)
    paths = [settings.faces, *(folder for _, folder in settings.outputs), settings.real, settings.keep]
    return existing(path for path in paths if path is not None)


def other_photos(settings: EvaluationSettings, pairs: Sequence[Pair], held_out: float | None) -> list[Shot]:
    """Photos that no pair uses, for the Fréchet distance: those of --real, or the protocol's own."""
    if settings.features == "none":
        return []
    if settings.real is None:
        return unused_photos(settings.protocol, settings.faces, pairs, settings.seed, held_out)
    return _real_photos(settings.real, pairs)


def natural_photos(settings: EvaluationSettings, pairs: Sequence[Pair], held_out: float | None) -> list[Shot]:
    """Photos for "told from photos": those of --real, or the protocol's own of people in no pair."""
    if settings.real is None:
        return photos_of_others(settings.protocol, settings.faces, pairs, settings.seed, held_out)
    return _real_photos(settings.real, pairs)


def _real_photos(folder: Path, pairs: Sequence[Pair]) -> list[Shot]:
    """The photos of --real that no pair uses; raise if they are too few."""
    taken = {shot.path.resolve() for pair in pairs for shot in (pair.source, pair.target)}
    photos = [photo.path for photo in find_photos(folder) if photo.path.resolve() not in taken]
    if len(photos) < frechet.MIN_PICTURES:
        raise ReliableSwapError(
            f"--real {folder} holds {len(photos)} photos that no pair uses; give at least "
            f"{frechet.MIN_PICTURES}"
        )
    return [Shot(path, str(path)) for path in photos]
