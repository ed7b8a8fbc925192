"""The loop on a toy: its default path, exact resume, and what it leaves."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from support.toy_training import (
    ToyNetwork,
    ToyTask,
    figures_of_run,
    same_run,
    tensors_of_run,
    toy_network,
    toy_settings,
)

from reliableswap.errors import ReliableSwapError
from reliableswap.training.core import trainer as trainer_module
from reliableswap.training.core.settings import RunSettings
from reliableswap.training.core.state import checkpoints
from reliableswap.training.core.trainer import train


@pytest.fixture(autouse=True)
def fresh_accelerate() -> Iterator[None]:
    """Accelerate keeps the first precision of a process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def toy_run(
    output: Path, *, task: ToyTask | None = None, batch_norm: bool = False, **settings: Any
) -> dict[str, float]:
    task = task or ToyTask(adversarial=True, noise=0.1)
    return train(toy_network(batch_norm=batch_norm), task, toy_settings(output, **settings))


@pytest.mark.slow
def test_the_default_path_learns_in_bf16_with_workers_and_averaged_weights(tmp_path: Path) -> None:
    chosen = RunSettings(
        output_dir=tmp_path, max_train_steps=60, learning_rate=3e-2, lr_warmup_steps=5, report_to="none"
    )
    assert (chosen.mixed_precision, chosen.dataloader_num_workers, chosen.use_ema) == ("bf16", 2, True)
    figures = train(toy_network(batch_norm=True), ToyTask(), chosen)
    assert figures["accuracy"] > 0.7
    tensors = tensors_of_run(tmp_path)
    assert {t.dtype for name, t in tensors.items() if "num_batches" not in name} == {torch.float32}
    network, averaged = (
        {n.split("/")[-1]: t for n, t in tensors.items() if n.startswith(kind)}
        for kind in ("network", "averaged")
    )
    assert not torch.equal(network["last.weight"], averaged["last.weight"])
    published = ToyNetwork.from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(published[name], averaged[name]) for name in published)


@pytest.mark.slow
def test_the_default_path_resumes_exactly(tmp_path: Path) -> None:
    default = {"mixed_precision": "bf16", "dataloader_num_workers": 2, "batch_norm": True}
    toy_run(tmp_path / "whole", **default)
    toy_run(tmp_path / "halves", **default, max_train_minutes=0.0)
    toy_run(tmp_path / "halves", **default, resume_from_checkpoint="latest")
    assert same_run(tmp_path / "whole", tmp_path / "halves")


def losses_by_step(messages: list[str]) -> dict[int, str]:
    found = (re.search(r"step (\d+)/\d+ (.*?) \|", message) for message in messages)
    return {int(match[1]): match[2] for match in found if match}


@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_resumed_run_goes_on_as_if_never_stopped(
    accumulation: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    more = {"gradient_accumulation_steps": accumulation}
    caplog.set_level(logging.INFO, "reliableswap")
    toy_run(tmp_path / "whole", **more)
    whole = losses_by_step(caplog.messages)
    caplog.clear()
    toy_run(tmp_path / "halves", **more, max_train_minutes=0.0)
    assert list(losses_by_step(caplog.messages)) == [1]
    toy_run(tmp_path / "halves", **more, resume_from_checkpoint="latest")
    assert "resumed from checkpoint-0000001" in caplog.messages
    assert losses_by_step(caplog.messages) == whole
    assert list(whole) == [1, 2, 3, 4]
    assert same_run(tmp_path / "whole", tmp_path / "halves")


def test_a_resume_with_other_settings_or_data_names_them(tmp_path: Path) -> None:
    toy_run(tmp_path, max_train_minutes=0.0)
    with pytest.raises(ReliableSwapError, match="train_batch_size 4 -> 2, samples seed 0 -> seed 5"):
        toy_run(tmp_path, task=ToyTask(5), train_batch_size=2, resume_from_checkpoint="latest")
    toy_run(tmp_path, max_train_steps=3, logging_steps=2, resume_from_checkpoint="latest")
    assert checkpoints(tmp_path)[-1].name == "checkpoint-0000003"


def test_a_fresh_run_in_the_folder_of_an_earlier_one_is_refused(tmp_path: Path) -> None:
    toy_run(tmp_path, max_train_steps=1)
    with pytest.raises(ReliableSwapError, match="already holds a run; continue it with"):
        toy_run(tmp_path)


def test_every_step_is_saved_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    save = trainer_module.save_checkpoint

    def counted(output: Path, step: int, *more: Any) -> Path:
        steps.append(step)
        return save(output, step, *more)

    monkeypatch.setattr(trainer_module, "save_checkpoint", counted)
    toy_run(tmp_path, checkpointing_steps=2)
    assert steps == [2, 4]
    toy_run(tmp_path, resume_from_checkpoint="latest")  # nothing left to do
    assert steps == [2, 4]


def test_validations_are_kept_and_the_last_one_returned(tmp_path: Path) -> None:
    figures = toy_run(tmp_path, validation_steps=2)
    assert [line["step"] for line in figures_of_run(tmp_path)] == [2, 4]
    assert figures_of_run(tmp_path)[-1] == {"step": 4, **figures}


def test_without_averaging_the_network_itself_is_published(tmp_path: Path) -> None:
    toy_run(tmp_path, use_ema=False)
    published = ToyNetwork.from_pretrained(tmp_path).state_dict()
    tensors = tensors_of_run(tmp_path)
    assert not any(name.startswith("averaged") for name in tensors)
    assert torch.equal(
        published["last.weight"], tensors["network/diffusion_pytorch_model.safetensors/last.weight"]
    )


def test_losses_that_are_not_finite_stop_the_run(tmp_path: Path) -> None:
    network = toy_network()
    with torch.no_grad():
        network.last.bias.fill_(float("nan"))
    with pytest.raises(
        ReliableSwapError, match=r"step 0: gradients are not finite.*distance nan.*--learning_rate"
    ):
        train(network, ToyTask(), toy_settings(tmp_path))


def test_fewer_processes_than_launched_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lonely:
        """What Accelerate gives when it overlooked the launcher."""

        num_processes = 1

        def __init__(self, **_: Any) -> None:
            self.device = torch.device("cpu")

    monkeypatch.setattr(trainer_module, "Accelerator", Lonely)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ReliableSwapError, match="2 processes were launched but 1 joined"):
        toy_run(tmp_path)


def test_fp16_without_a_gpu_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    if torch.accelerator.is_available():
        pytest.skip("there is a GPU")
    toy_run(tmp_path, mixed_precision="fp16", max_train_steps=1)
    assert any("fp16 needs a GPU" in message for message in caplog.messages)


def test_a_finished_run_goes_to_the_hub_without_its_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: dict[str, Any] = {}

    class Hub:
        def create_repo(self, place: str, private: bool, exist_ok: bool) -> Any:
            calls.update(created=place, private=private)
            return type("Repository", (), {"repo_id": f"somebody/{place}"})

        def upload_folder(self, **more: Any) -> None:
            calls.update(more)

    monkeypatch.setattr("reliableswap.training.core.publish.HfApi", Hub)
    toy_run(tmp_path, max_train_steps=1, push_to_hub=True, hub_private=True, hub_model_id="mine")
    assert (calls["created"], calls["repo_id"], calls["folder_path"]) == ("mine", "somebody/mine", tmp_path)
    assert calls["private"]
    photos_and_paths = {"checkpoint-*", "grids/*", "*.np[yz]", "settings.yaml"}
    assert photos_and_paths <= set(calls["ignore_patterns"])
    assert 'from_pretrained("mine")' in (tmp_path / "README.md").read_text()


@pytest.mark.slow
def test_compiled_networks_learn_the_same(tmp_path: Path) -> None:
    for name, backend in (("plain", "no"), ("compiled", "aot_eager")):
        toy_run(tmp_path / name, compile=backend)
    plain, compiled = (tensors_of_run(tmp_path / name) for name in ("plain", "compiled"))
    assert plain.keys() == compiled.keys()
    assert all(torch.allclose(plain[name], compiled[name], atol=1e-5) for name in plain)


@pytest.mark.parametrize("name", ["FSDP", "DEEPSPEED"])
def test_what_splits_networks_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"ACCELERATE_USE_{name}", "true")
    with pytest.raises(ReliableSwapError, match=f"{name} shards the network over ranks.*eight_gpus"):
        toy_run(tmp_path)
