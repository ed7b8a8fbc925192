"""What a generator makes of people it never saw: figures, a grid to look at, and the two classic failures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reliableswap.data.augment import NONE
from reliableswap.data.triplet_dataset import Mix, TripletDataset
from reliableswap.geometry.measures import pose_error
from reliableswap.models import FixerNet, Generator, IdentityEncoder

from .probe import MeshProbe, fixer_window, identity_window, openings

Batch = dict[str, Tensor]
_BATCH = 16
_GRID = (7, 5)  # rows of pairs without truth, and of cycle triplets
_MARGIN = 0.05  # cosine that a swap must at least have moved towards its source


class HeldOut:
    """Fixed pairs of the split validation: real target and source without truth, and cycle triplets with it."""

    def __init__(
        self,
        folder: Path,
        pairs: int,
        identity: IdentityEncoder,
        fixer: FixerNet | None,
        probe: MeshProbe | None,
    ) -> None:
        self.pairs, self.identity, self.fixer, self.probe = pairs, identity, fixer, probe
        self.swaps = self._samples(folder, Mix(cycle=0, real_source=0, reconstruction=0, vanilla=1))
        self.cycles = self._samples(folder, Mix(cycle=1, real_source=0, reconstruction=0, vanilla=0))

    @property
    def networks(self) -> tuple[torch.nn.Module | None, ...]:
        return self.identity, self.fixer, self.probe

    @staticmethod
    def _samples(folder: Path, mix: Mix) -> TripletDataset:
        return TripletDataset(folder, "validation", mix=mix, augmentation=NONE, seed=7)

    def _batches(self, samples: TripletDataset, count: int) -> list[Batch]:
        made = [samples[i] for i in range(count)]
        return [
            torch.utils.data.default_collate(made[start : start + _BATCH])
            for start in range(0, count, _BATCH)
        ]

    def vectors(self, pictures: Tensor) -> tuple[Tensor, Tensor | None]:
        """(B,3,S,S) -> v_id (B,D) and, with a FixerNet, v_fix (B,D)."""
        lower = self.fixer(fixer_window(pictures)) if self.fixer is not None else None
        return self.identity(identity_window(pictures)), lower

    def make(self, generator: Generator, batch: Batch) -> Tensor:
        """(B,3,S,S) the swaps of a batch."""
        device = generator.device
        v_id, v_fix = self.vectors(batch["source"].to(device))
        vector = v_id if v_fix is None else torch.cat([v_id, v_fix], 1)
        guidance = batch["guidance"].to(device) if generator.guidance_channels else None
        return generator(batch["target"].to(device), vector, guidance).image.float().clamp(-1, 1)

    def figures(self, generator: Generator) -> dict[str, float]:
        """Cosines, ranks and distances; of the encoder in the loss, so a judge it never saw will be less kind."""
        found: dict[str, list[Tensor]] = {}

        def keep(**values: Tensor) -> None:
            for name, value in values.items():
                found.setdefault(name, []).append(value.float().cpu())

        for batch in self._batches(self.swaps, self.pairs):
            made = self.make(generator, batch)
            target, source = batch["target"].to(made.device), batch["source"].to(made.device)
            (ours, ours_low), (theirs, theirs_low) = self.vectors(made), self.vectors(target)
            wanted, wanted_low = self.vectors(source)
            keep(made=ours, sources=wanted, target=(ours * theirs).sum(1), before=(theirs * wanted).sum(1))
            if ours_low is not None and theirs_low is not None and wanted_low is not None:
                # The published FixerNet's vectors have lengths of their own.
                ours_low, theirs_low, wanted_low = (
                    F.normalize(vector, dim=1) for vector in (ours_low, theirs_low, wanted_low)
                )
                keep(lower_face=(ours_low * wanted_low).sum(1), lower_before=(theirs_low * wanted_low).sum(1))
            if self.probe is not None:
                mesh, mesh_target = self.probe(made), self.probe(target)
                keep(
                    expression=(openings(mesh) - openings(mesh_target)).abs().mean(1),
                    pose=_pose_errors(mesh, mesh_target),
                )
        for batch in self._batches(self.cycles, self.pairs // 2):
            made = self.make(generator, batch).cpu()
            face = batch["face_mask"]
            area = face.sum((1, 2, 3)) * 3
            truth, copy = (
                ((made - batch[name]).abs() * face).sum((1, 2, 3)) / area for name in ("truth", "target")
            )
            keep(l1_truth=truth, l1_target=copy)
        everything = {name: torch.cat(values) for name, values in found.items()}
        made, sources = everything.pop("made"), everything.pop("sources")
        similar = made @ sources.T
        result = {
            "identity": float(similar.diagonal().mean()),
            "source_first": float((similar.argmax(1) == torch.arange(len(made))).float().mean()),
            "copied": float((everything["l1_target"] < everything["l1_truth"]).float().mean()),
        }
        return result | {name: float(values.mean()) for name, values in everything.items()}

    def warnings(self, figures: dict[str, float]) -> list[str]:
        said = []
        if figures["l1_target"] < figures["l1_truth"]:
            said.append(
                "the network copies its target: on held-out cycle triplets its output is nearer to the target than to "
                "the truth; give it guidance, more identity weight or more cycle triplets"
            )
        if figures["identity"] < figures["before"] + _MARGIN:
            said.append(
                "the network ignores the source: its faces are hardly nearer to the source than the untouched target; "
                "check --identity, raise --identity_weight, or wait if the run has only begun"
            )
        return said

    def grid(self, generator: Generator) -> np.ndarray:
        """(H,W,3) uint8 rows of source, target, guidance, output and truth, which is grey where there is none."""
        rows: list[np.ndarray] = []
        for samples, count in zip((self.swaps, self.cycles), _GRID, strict=True):
            count = min(count, self.pairs // 2)
            for batch in self._batches(samples, count):
                made = self.make(generator, batch).cpu()
                shown = [batch["source"], batch["target"], batch["guidance"][:, :3], made, batch["truth"]]
                rows += list(np.concatenate([_pictures(one) for one in shown], axis=2))
        return np.concatenate(rows, axis=0)


def _pictures(tensors: Tensor) -> np.ndarray:
    """(B,3,H,W) in [-1,1] -> (B,H,W,3) uint8."""
    pixels = ((tensors.float() + 1) * 127.5).round().clamp(0, 255)
    return pixels.permute(0, 2, 3, 1).numpy().astype(np.uint8)


def _pose_errors(meshes: Tensor, others: Tensor) -> Tensor:
    pairs: Sequence[tuple[np.ndarray, np.ndarray]] = list(
        zip(meshes.cpu().numpy(), others.cpu().numpy(), strict=True)
    )
    return torch.tensor([pose_error(a, b) for a, b in pairs])
