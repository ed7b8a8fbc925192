"""A pipeline runs its current components, also once these were replaced, changed, moved, compiled or saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import blend_faces
from support.people import portrait

from reliableswap import ReliableSwapPipeline
from reliableswap.bundled import bundled
from reliableswap.errors import NoFaceError, ReliableSwapError, WeightsError
from reliableswap.models.adapter import adapter_config
from reliableswap.models.detector import FaceDetector
from reliableswap.models.glasses import GlassesNet
from reliableswap.models.identity import IdentityEncoder
from reliableswap.models.light import LightGenerator
from reliableswap.runtime.signatures import signatures


@pytest.fixture
def pipe() -> ReliableSwapPipeline:
    return ReliableSwapPipeline.bundled()


def swapped(pipe: ReliableSwapPipeline) -> np.ndarray:
    return pipe(portrait(1, 200), portrait(2, 200)).pictures[0].pixels


@pytest.mark.slow
def test_a_replaced_detector_is_used(pipe: ReliableSwapPipeline) -> None:
    torch.manual_seed(0)
    pipe.detector = FaceDetector()  # untrained: it finds nothing
    with pytest.raises(NoFaceError):
        pipe.find(portrait(1, 200))


@pytest.mark.slow
def test_weights_changed_in_place_take_effect(pipe: ReliableSwapPipeline) -> None:
    assert pipe.generator is not None
    before = swapped(pipe)
    with torch.no_grad():
        pipe.generator.head.weight.mul_(0.2)
    assert not np.array_equal(swapped(pipe), before)


def adapted(pipe: ReliableSwapPipeline, join: str, scale: float) -> LightGenerator:
    """The pipeline's generator with an adapter whose output has the length `scale`."""
    assert pipe.generator is not None
    assert pipe.identity is not None
    config = {name: value for name, value in pipe.generator.config.items() if not name.startswith("_")}
    torch.manual_seed(0)
    made = LightGenerator(
        **{**config, "adapter_join": join, "adapter_encoder": adapter_config(pipe.identity)}
    )
    made.load_state_dict(pipe.generator.state_dict(), strict=False)
    assert made.adapter is not None
    made.adapter.start_from(pipe.identity)
    with torch.no_grad():
        made.adapter.last.weight.copy_(torch.eye(128).roll(1, 0) * scale)
    return made.eval()


@pytest.mark.slow
def test_an_adapter_swaps_and_is_saved_with_its_generator(pipe: ReliableSwapPipeline, tmp_path: Path) -> None:
    before = swapped(pipe)
    person = pipe.prepare(portrait(1, 200))
    pipe.generator = adapted(pipe, "add", 0.0)
    assert np.array_equal(swapped(pipe), before)  # an untrained adapter changes nothing
    pipe.generator = adapted(pipe, "add", 0.6)
    after = swapped(pipe)
    assert np.abs(after.astype(int) - before).max() > 8
    # A person who was prepared for another generator is encoded again.
    assert np.array_equal(pipe(person, portrait(2, 200)).pictures[0].pixels, after)
    pipe.save_pretrained(tmp_path)
    again = ReliableSwapPipeline.from_pretrained(tmp_path)
    assert np.array_equal(swapped(again), after)
    with torch.no_grad():
        again.generator.adapter.last.weight.zero_()
    assert np.array_equal(swapped(again), before)
    with pytest.raises(ReliableSwapError, match="identity adapter"):
        signatures(pipe.generator)


@pytest.mark.slow
def test_a_replaced_encoder_is_checked(pipe: ReliableSwapPipeline) -> None:
    swapped(pipe)
    assert pipe.identity is not None
    torch.manual_seed(0)
    pipe.identity = IdentityEncoder(**{k: pipe.identity.config[k] for k in ("body", "embedding_size")}).eval()
    with pytest.raises(WeightsError, match="was trained with"):
        swapped(pipe)


@pytest.mark.slow
def test_an_encoder_whose_weights_change_is_checked(pipe: ReliableSwapPipeline) -> None:
    swapped(pipe)
    assert pipe.identity is not None
    with torch.no_grad():
        next(pipe.identity.parameters()).add_(0.1)
    with pytest.raises(WeightsError, match="was trained with"):
        swapped(pipe)


@pytest.mark.slow
def test_moving_does_not_repeat_the_encoder_check(pipe: ReliableSwapPipeline) -> None:
    before = swapped(pipe)
    pipe.to(
        torch.bfloat16
    )  # the encoders' checksums no longer match those that the generator was trained with
    pipe.to(torch.float64)
    assert np.abs(swapped(pipe).astype(int) - before).mean() < 2


@pytest.mark.slow
def test_glasses_are_kept_only_with_the_glasses_network(pipe: ReliableSwapPipeline) -> None:
    assert isinstance(pipe.glasses, GlassesNet)
    worn = blend_faces.painted_glasses(*blend_faces.face(blend_faces.WOMAN, 320))
    kept = pipe(portrait(3, 200), worn, engine="blend").pictures[0].pixels
    pipe.glasses = None
    assert not np.array_equal(pipe(portrait(3, 200), worn, engine="blend").pictures[0].pixels, kept)
    pipe.glasses = GlassesNet.from_pretrained(bundled("glasses"))
    assert np.array_equal(pipe(portrait(3, 200), worn, engine="blend").pictures[0].pixels, kept)


def test_the_glasses_network_is_moved_and_saved_with_the_others(
    pipe: ReliableSwapPipeline, tmp_path: Path
) -> None:
    pipe.to(torch.float16)
    assert next(pipe.glasses.parameters()).dtype == torch.float16
    pipe.save_pretrained(tmp_path)
    assert "glasses" in json.loads((tmp_path / "model_index.json").read_text())
    assert isinstance(ReliableSwapPipeline.from_pretrained(tmp_path).glasses, GlassesNet)


def test_a_pipeline_without_the_optional_networks_blends(pipe: ReliableSwapPipeline) -> None:
    bare = ReliableSwapPipeline(pipe.detector, pipe.landmarks)
    assert bare(portrait(1, 200), portrait(2, 200)).report.engine == "blend"


@pytest.mark.slow
def test_a_compiled_generator_is_called_as_it_is(pipe: ReliableSwapPipeline) -> None:
    before = swapped(pipe)
    pipe.generator = torch.compile(pipe.generator, backend="eager")
    assert np.abs(swapped(pipe).astype(int) - before).max() <= 1


@pytest.mark.slow
def test_components_with_offload_hooks_are_called_not_folded_copies(pipe: ReliableSwapPipeline) -> None:
    """enable_model_cpu_offload wraps such hooks around forward; a folded copy would bypass them."""
    from accelerate.hooks import ModelHook, add_hook_to_module

    calls: list[str] = []

    class Counting(ModelHook):
        def pre_forward(self, module: torch.nn.Module, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
            calls.append(type(module).__name__)
            return args, kwargs

    before = swapped(pipe)
    for name in ("landmarks", "identity", "generator"):
        add_hook_to_module(getattr(pipe, name), Counting())
    after = swapped(pipe)
    assert {"MeshNet", "IdentityEncoder", "LightGenerator"} <= set(calls)
    assert np.abs(after.astype(int) - before).mean() < 0.1  # norms that are not folded round differently


def test_offloading_names_every_component(pipe: ReliableSwapPipeline) -> None:
    assert set(pipe.model_cpu_offload_seq.split("->")) == set(pipe.components)


def test_each_network_runs_once_on_each_face(
    pipe: ReliableSwapPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for kind in (IdentityEncoder, LightGenerator):
        forward = kind.forward

        def counted(
            self: Any, *inputs: Any, _forward: Any = forward, _name: str = kind.__name__, **options: Any
        ) -> Any:
            calls.append(_name)
            return _forward(self, *inputs, **options)

        monkeypatch.setattr(kind, "forward", counted)
    swapped(pipe)
    assert calls.count("IdentityEncoder") == 3  # source, target, result
    assert calls.count("LightGenerator") == 1
