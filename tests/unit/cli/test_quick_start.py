"""Fast start of a command: unneeded parts of diffusers and torch are imported only when something uses them."""

from __future__ import annotations

import contextlib
import gc
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reliableswap.cli import common
from reliableswap.cli import main as command
from reliableswap.cli.quick_start import import_diffusers
from reliableswap.lazy import gc_paused
from reliableswap.media import Picture, write_picture

SCRIPT = """
import sys
from reliableswap.cli.quick_start import OPTIONAL, PACKAGES, import_diffusers

import_diffusers()
from reliableswap.pipelines.image import ReliableSwapPipeline
from reliableswap.models import GlassesNet
import torch

pipe = ReliableSwapPipeline.bundled()
heavy = {"sympy", "torch._dynamo", "torch._inductor", *OPTIONAL}.intersection(sys.modules)
assert not heavy, heavy
assert sum(name.startswith("diffusers.models.transformers.") for name in sys.modules) < 9

# What was left out is there when somebody asks for it.
from diffusers.models.transformers import FluxTransformer2DModel
from diffusers.models.autoencoders import AutoencoderKL
import diffusers.models.unets as unets
assert unets.UNet2DModel.__name__ == "UNet2DModel"
assert issubclass(AutoencoderKL, torch.nn.Module) and issubclass(FluxTransformer2DModel, torch.nn.Module)
import torch._dynamo
assert torch._dynamo.config is not None and torch._dynamo.allow_in_graph.__module__.startswith("torch._dynamo")
from diffusers.utils.torch_utils import is_compiled_module
assert is_compiled_module(torch.compile(GlassesNet())) and not is_compiled_module(GlassesNet())
print("all there")
"""


@pytest.mark.slow
def test_what_a_swap_does_not_use_is_imported_on_demand() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert run.stdout == "all there\n", run.stderr


def test_the_garbage_collector_ignores_imported_objects_and_is_enabled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enabled: list[bool] = []
    monkeypatch.setattr(gc, "freeze", lambda: enabled.append(gc.isenabled()))
    with contextlib.suppress(ImportError), gc_paused():
        enabled.append(gc.isenabled())
        raise ImportError
    assert enabled == [False, False]
    assert gc.isenabled()


def test_diffusers_that_is_imported_stays_as_it_is() -> None:
    import diffusers

    finders, known = list(sys.meta_path), diffusers.utils.is_accelerate_available()
    import_diffusers()
    assert sys.meta_path == finders
    assert diffusers.utils.is_accelerate_available() == known


@pytest.mark.parametrize(
    ("words", "quick"),
    [(["faces", "PHOTO"], True), (["batch", "no.csv"], False), (["faces", "PHOTO", "--help"], False)],
)
def test_only_a_swap_in_its_own_process_starts_quickly(
    words: list[str], quick: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_picture(Picture(np.zeros((32, 32, 3), np.uint8), name="photo"), tmp_path / "photo.png")
    words = [str(tmp_path / "photo.png") if word == "PHOTO" else word for word in words]
    words += ["--pipeline", str(tmp_path)]  # holds no pipeline
    collecting: list[bool] = []
    monkeypatch.setattr(common, "import_diffusers", lambda: collecting.append(gc.isenabled()))
    monkeypatch.setattr(gc, "freeze", lambda: None)
    monkeypatch.setattr(sys, "argv", ["reliableswap", *words])

    def run(argv: list[str] | None) -> None:
        with contextlib.suppress(SystemExit):
            command.main(argv)

    run(words)  # called by another program
    assert collecting == []
    run(None)
    assert collecting == [False] * quick
    assert gc.isenabled()
