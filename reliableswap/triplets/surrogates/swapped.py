"""A target-creating surrogate by an earlier generator of ours.

Its picture is an input of the next training and never a truth, so its faults are not learnt: the truth is a real photo.
"""

from __future__ import annotations

from typing import Any

from reliableswap.bundled import bundled
from reliableswap.data.aligned import AlignedFace
from reliableswap.errors import WeightsError
from reliableswap.models import load_network
from reliableswap.models.compat import check_encoder, weights_checksum
from reliableswap.models.generator import Generator
from reliableswap.runtime import for_device
from reliableswap.runtime.torch import cached_inference_copy
from reliableswap.runtime.torch_arrays import TorchArrayNetwork
from reliableswap.swap.engines import Step, run
from reliableswap.swap.job import FaceJob
from reliableswap.swap.networks import Networks
from reliableswap.swap.person import Person
from reliableswap.swap.steps.bands import shown_share
from reliableswap.swap.steps.compose import compose
from reliableswap.swap.steps.detail import detail
from reliableswap.swap.steps.expression import expression, plan_expression
from reliableswap.swap.steps.generate import generate
from reliableswap.swap.steps.grain import grain
from reliableswap.swap.steps.lay import lay
from reliableswap.swap.steps.mix import mix
from reliableswap.swap.steps.opacity import opacity
from reliableswap.swap.steps.reshape import reshape, reshape_roughly
from reliableswap.swap.steps.texture import texture
from reliableswap.swap.steps.tint import tint
from reliableswap.swap.subject import Subject

from .generator_choice import GeneratorChoice
from .target import Recipe, Surrogate, folded_share, with_girth

# The neural engine's steps in sequence: a worker has one thread.
_DRAWN: tuple[Step, ...] = (reshape, texture, generate, detail, opacity, compose, expression, grain, tint)
_LAID: tuple[Step, ...] = (reshape_roughly, texture, mix, opacity, plan_expression, lay, grain, tint)
_ENCODERS = ("identity", "fixer")
_OUTPUT_SETTINGS = (
    "away",
    "layers",
    "lean",
    "sizes",
    "target_colours",
    "template",
)  # settings that change what a swap looks like


def load(choice: GeneratorChoice) -> GeneratorSwap:
    """Load the networks, and check that generator and encoders belong together."""
    folder = choice.folder
    is_pipeline = (folder / "model_index.json").is_file()
    place = folder / "generator" if is_pipeline else folder
    generator = load_network(place)
    if not isinstance(generator, Generator):
        raise WeightsError(
            f"{place} holds a {type(generator).__name__}, not a generator; give the folder of a generator or of a "
            "pipeline that has one"
        )
    encoders: dict[str, Any] = {}
    for name in _ENCODERS:
        own = folder / name
        if name == "fixer" and not generator.config["fixer_dim"]:
            continue
        encoders[name] = load_network(own if is_pipeline and own.is_dir() else bundled(name))
    check_encoder(generator, encoders["identity"], encoders.get("fixer"))
    others = {name: load_network(bundled(name)) for name in ("landmarks", "glasses")}
    label = f"{type(generator).__name__} {_checksum(generator)}"
    return GeneratorSwap(label, {"generator": generator, **encoders, **others}, choice.device)


class GeneratorSwap:
    """Makes surrogates with a generator. label: names the generator and its weights."""

    def __init__(self, label: str, networks: dict[str, Any], device: str = "cpu") -> None:
        self.label = label
        runtime = for_device(device)
        running = {}
        for name, network in networks.items():
            network = network.float().requires_grad_(False).eval()
            if runtime is None:
                running[name] = TorchArrayNetwork(network, cached_inference_copy(network.to(device)))
            else:
                running[name] = TorchArrayNetwork(network, runtime(network, exact=name == "landmarks"))
        self.networks = Networks(**running)

    def __call__(self, target: AlignedFace, source: AlignedFace, recipe: Recipe) -> Surrogate:
        """Put the source's face with its shape into the target's photo, as a swap by the pipeline would."""
        if recipe.girth:
            target = with_girth(target, recipe.girth)
        ours = Subject.of_crop(target.crop, target.mesh, self.networks)
        theirs = Subject.of_crop(source.crop, source.mesh, self.networks, strict_covers=source.covers)
        job = FaceJob.start(ours, Person("source", (theirs,)), recipe.blend, self.networks)
        job = run(_LAID if self.networks.generator.config.get("layers") else _DRAWN, job)
        face = AlignedFace(job.image, job.goal)
        return Surrogate(face, recipe, shown_share(job), folded_share(target.mesh, job.goal), self.label)


def _checksum(generator: Generator) -> str:
    """Sixteen hexadecimal digits that identify the generator's weights and settings."""
    settings = (
        *generator.checksum_settings,
        *(name for name in _OUTPUT_SETTINGS if name in generator.config),
    )
    return weights_checksum(generator, settings)[:16]
