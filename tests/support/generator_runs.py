"""Train a generator by the command, in one run or in two halves, with everything that a checkpoint must store."""

from __future__ import annotations

from pathlib import Path

from reliableswap.cli.main import main

OPTIONS = (
    "--train_batch_size", "2", "--dataloader_num_workers", "0", "--validation_pairs", "2", "--mixed_precision", "no",
    "--lr_warmup_steps", "0", "--perceptual_weight", "0", "--report_to", "none", "--adversarial_weight", "0.1",
    "--discriminator_channels", "4", "--penalty_weight", "0.1", "--max_train_steps", "2", "--validation_steps", "100",
)  # fmt: skip
HALVES = (("--max_train_minutes", "0"), ("--resume_from_checkpoint", "latest"))


def train_generator(triplets: Path, encoders: Path, output: Path, *more: str) -> int:
    """Run the command and return its exit status."""
    places = ("--triplets", triplets, "--identity", encoders / "identity", "--output_dir", output)
    return main(["train", "generator", *map(str, places), *OPTIONS, *more])
