"""The engines: the steps that each of them runs on a face.

blend   the source's own texture, warped onto the target's face and blended into its photo; needs no generator
neural  the generator's output: a mixture of both photos, or a picture with finer detail from the blend
person  the face drawn by a decoder that was trained for one person
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reliableswap.runtime.threads import worker_pool

from .job import FaceJob
from .networks import Networks
from .person import Person
from .steps.age import age
from .steps.attributes import keep_attributes, put_on_glasses
from .steps.bands import bands
from .steps.beard import beard_beyond
from .steps.compose import compose
from .steps.contrast import contrast
from .steps.detail import detail
from .steps.expression import expression, plan_expression
from .steps.generate import generate
from .steps.grain import grain
from .steps.guide import guide
from .steps.lay import lay
from .steps.merge import merge
from .steps.mix import mix
from .steps.opacity import opacity
from .steps.prefetch import prefetch_for_guidance, prefetch_for_texture
from .steps.rebuild import rebuild
from .steps.recolour import recolour
from .steps.reshape import reshape, reshape_roughly
from .steps.texture import texture
from .steps.tint import tint

Step = Callable[[FaceJob], FaceJob]


def in_parallel(one: Step, other: Step) -> Step:
    """Return a step that runs two steps in parallel; neither may need the other's layers.

    Networks and OpenCV release the GIL, so on two cores the shorter step costs little time.
    """

    def both(job: FaceJob) -> FaceJob:
        with worker_pool() as pool:
            second = pool.submit(other, job)
            first = one(job)
        return job.with_layers(**{**second.result().layers, **first.layers})

    return both


Steps = tuple[Step, ...]

_ADJUSTED: Steps = (grain, age, keep_attributes, put_on_glasses, tint)
_END: Steps = (contrast, expression, *_ADJUSTED)
_LAID: Steps = (plan_expression, lay, beard_beyond, contrast, *_ADJUSTED)
_ENGINES: Mapping[str, Steps] = {
    "blend": (in_parallel(reshape, prefetch_for_texture), texture, recolour, bands, *_END),
    "neural": (
        in_parallel(reshape, prefetch_for_guidance),
        in_parallel(generate, detail),
        opacity,
        compose,
        *_END,
    ),
    "layered": (in_parallel(reshape_roughly, prefetch_for_guidance), mix, opacity, *_LAID),
    "person": (reshape, rebuild, merge, *_END),
}
_STAGES: Mapping[str, tuple[Steps, Steps, Steps]] = {
    "blend": ((reshape, texture), (recolour, bands), _END),
    "neural": ((reshape, detail, guide), (generate,), (opacity, compose, *_END)),
    "layered": ((reshape_roughly, guide), (mix, opacity), _LAID),
    "person": ((reshape,), (rebuild,), (merge, *_END)),
}


def engine_of(person: Person, engine: str) -> str:
    """The engine for a person: `person` if they have a decoder, the given one otherwise."""
    return engine if person.decoder is None else "person"


def steps_of(engine: str, networks: Networks) -> Steps:
    """The steps of an engine; those of `neural` depend on the generator."""
    return _ENGINES[_kind(engine, networks)]


def stages_of(engine: str, networks: Networks) -> tuple[Steps, Steps, Steps]:
    """The steps as three stages for clips: each takes the frames in order, in parallel with the other stages."""
    return _STAGES[_kind(engine, networks)]


def _kind(engine: str, networks: Networks) -> str:
    return "layered" if engine == "neural" and networks.generator.config.get("layers") else engine


def run(steps: tuple[Step, ...], job: FaceJob) -> FaceJob:
    """Run the steps on the job; at likeness 0, return it unchanged."""
    if job.settings.likeness == 0:
        return job
    for step in steps:
        job = step(job)
    return job
