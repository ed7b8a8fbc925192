"""Compare how far people's networks get from scratch in the same CPU time: light levels against the paper's.

    python benchmarks/person_recipes.py runs/people/crops [--seconds 20] [--side 64]

Give the crops that `reliableswap train person` has made, at the side of that training. Every recipe trains one
network for all people, directly at its last level, with only SSIM and L1. The seconds are CPU time on one core, so that
other work on the machine does not count; validation is left out. `psnr` and `ssim` are those of the held-out frames
within the mask, `mean face` is the PSNR of the mean of the trained frames: a recipe that is not above it has learnt no
more than that mean.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from reliableswap.models import CombAutoencoder
from reliableswap.training.tasks.person.frames import Frames
from reliableswap.training.tasks.person.losses import l1_loss, masked_ssim, psnr, ssim_loss
from reliableswap.training.tasks.person.warp import draw_jitter, resample, sampling_grid, to_pictures

RECIPES: dict[str, tuple[dict[str, int | str], float]] = {
    "light": ({"blocks": "light", "base_channels": 1, "max_channels": 160, "latent": 256}, 1e-3),
    "paper's levels": ({"blocks": "paper", "base_channels": 2, "max_channels": 96, "latent": 256}, 5e-4),
}
_BATCH, _WARM_UP = 8, 50


class Recipe:
    """A network in training, and the CPU time that it has used."""

    def __init__(self, people: list[Frames], side: int, widths: dict[str, int | str], rate: float) -> None:
        torch.manual_seed(0)
        self.people, self.side, self.rate = people, side, rate
        network = CombAutoencoder([one.person for one in people], size=side, **widths)  # type: ignore[arg-type]
        network.grow(side)
        for one in people:
            network.decoder(one.person).init_colour(torch.from_numpy(one.colour))
        self.network = network.to(memory_format=torch.channels_last).train()
        self.optimizer = torch.optim.AdamW(network.parameters(), rate, weight_decay=0)
        self.rng, self.steps, self.seconds = np.random.default_rng(0), 0, 0.0

    def step(self) -> None:
        """Train the encoder and one person's decoder."""
        began = time.process_time()
        one = self.people[self.steps % len(self.people)]
        rows = self.rng.choice(one.rows, _BATCH)
        pictures, masks = frames_at(one, rows)
        where = sampling_grid(draw_jitter(len(rows), 1.0), self.side)
        truth, mask = resample(pictures, where), resample(masks, where)
        with torch.autocast("cpu", torch.bfloat16):
            made = self.network(truth.contiguous(memory_format=torch.channels_last), one.person)
        loss = (l1_loss(made.float(), truth, mask) + ssim_loss(made, truth, mask)).mean()
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.steps += 1
        self.optimizer.param_groups[0]["lr"] = self.rate * min(1.0, self.steps / _WARM_UP)
        self.optimizer.step()
        self.seconds += time.process_time() - began

    @torch.inference_mode()
    def row(self, name: str) -> str:
        """A line of the table."""
        self.network.eval()
        cells = []
        for one in self.people:
            truth, mask = frames_at(one, one.held_out)
            parts = [self.network(part, one.person) for part in truth.split(16)]
            made = torch.cat(parts).float()
            mean = frames_at(one, one.rows)[0].mean(0, keepdim=True).expand_as(truth)
            figures = (psnr(made, truth, mask), masked_ssim(made, truth, mask), psnr(mean, truth, mask))
            cells += ["{:.1f} / {:.2f} | {:.1f}".format(*(float(each.mean()) for each in figures))]
        self.network.train()
        return f"| {name} | {self.seconds:.0f} | {self.steps * _BATCH:,} | " + " | ".join(cells) + " |"


def frames_at(one: Frames, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """(N,3,S,S) in [-1,1] and (N,1,S,S) in 0..1."""
    pictures = torch.from_numpy(np.stack([one.pictures[int(row)] for row in rows]))
    masks = torch.from_numpy(np.stack([one.masks[int(row)] for row in rows]))
    return to_pictures(pictures), masks[:, None].float() / 255


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("crops", type=Path, help="folder of the people's crops")
    parser.add_argument("--seconds", type=float, default=20, help="CPU seconds per recipe (default: 20)")
    parser.add_argument("--side", type=int, default=64, help="side of the frames in pixels (default: 64)")
    parser.add_argument(
        "--rows", type=int, default=2, help="table rows per recipe, evenly spaced in time (default: 2)"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    folders = sorted(path.parent for path in arguments.crops.glob("*/about.json"))
    people = [Frames.load(folder.name, folder) for folder in folders]
    names = [f"{one.person}: psnr / ssim | mean face" for one in people]
    print(
        "| recipe | seconds | frames | " + " | ".join(names) + " |\n|---|" + "---:|" * (2 + 2 * len(people))
    )
    for name, (widths, rate) in RECIPES.items():
        recipe = Recipe(people, arguments.side, widths, rate)
        for number in range(1, arguments.rows + 1):
            while recipe.seconds < arguments.seconds * number / arguments.rows:
                recipe.step()
            print(recipe.row(name), flush=True)


if __name__ == "__main__":
    main()
