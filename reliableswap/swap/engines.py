"""The engines: what happens to a face, step by step.

blend   the source's own texture, warped onto the target's face and blended into its photo; needs no generator
neural  the generator's answer: layers applied at the photo's size, or a picture with finer detail from the blend
person  the face as a decoder that was trained for one person draws it
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reliableswap.runtime.threads import beside

from .job import FaceJob
from .person import Person
from .steps.age import age
from .steps.attributes import keep_attributes, put_on_glasses
from .steps.bands import bands
from .steps.compose import compose
from .steps.contrast import contrast
from .steps.detail import detail
from .steps.expression import expression
from .steps.generate import generate, guide
from .steps.grain import grain
from .steps.lay import lay
from .steps.look import look_for_guidance, look_for_texture
from .steps.merge import merge
from .steps.opacity import opacity
from .steps.rebuild import rebuild
from .steps.recolour import recolour
from .steps.reshape import reshape
from .steps.texture import texture
from .steps.tint import tint

Step = Callable[[FaceJob], FaceJob]


def together(one: Step, other: Step) -> Step:
    """A step that runs two steps at the same time; neither may need the other's layers.

    Networks and OpenCV release Python's lock, so on two cores the shorter of the two costs little.
    """

    def both(job: FaceJob) -> FaceJob:
        with beside() as pool:
            second = pool.submit(other, job)
            first = one(job)
        return job.with_layers(**{**second.result().layers, **first.layers})

    return both


_END: tuple[Step, ...] = (contrast, expression, grain, age, keep_attributes, put_on_glasses, tint)
BLEND: tuple[Step, ...] = (together(reshape, look_for_texture), texture, recolour, bands, *_END)
NEURAL: tuple[Step, ...] = (
    together(reshape, look_for_guidance),
    together(generate, detail),
    together(lay, opacity),
    compose,
    *_END,
)
PERSON: tuple[Step, ...] = (reshape, rebuild, merge, *_END)
ENGINES: Mapping[str, tuple[Step, ...]] = {"blend": BLEND, "neural": NEURAL, "person": PERSON}
# The same in three parts, for clips: only the last part of a frame needs the frames before.
PARTS: Mapping[str, tuple[tuple[Step, ...], tuple[Step, ...], tuple[Step, ...]]] = {
    "blend": ((reshape, texture), (recolour, bands), _END),
    "neural": ((reshape, detail, guide), (generate, lay), (opacity, compose, *_END)),
    "person": ((reshape,), (rebuild,), (merge, *_END)),
}


def engine_of(person: Person, engine: str) -> str:
    """The engine that swaps a person: their own decoder's, if they have one."""
    return engine if person.decoder is None else "person"


def run(steps: tuple[Step, ...], job: FaceJob) -> FaceJob:
    """Take the job through the steps; at likeness 0 nothing changes."""
    if job.settings.likeness == 0:
        return job
    for step in steps:
        job = step(job)
    return job
