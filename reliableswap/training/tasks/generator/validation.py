"""A generator's results on people outside the training split: figures, a grid, and warnings of two known failures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reliableswap.data.augment import NONE
from reliableswap.data.complete import complete
from reliableswap.data.mix import Mix
from reliableswap.data.samples import collate
from reliableswap.data.triplet_dataset import TripletDataset
from reliableswap.geometry.measures import pose_error
from reliableswap.geometry.measures_torch import openings
from reliableswap.models import FixerNet, Generator, IdentityEncoder

from .running import generate
from .views import MeshReader, fixer_window, identity_window

Batch = dict[str, Tensor]
_BATCH = 16
_GRID = (7, 5)  # rows of pairs without truth, and of cycle triplets
_TIE = 1e-6  # cosines of one photo differ by less, through rounding
_MARGIN = 0.05  # with a smaller gain in cosine to the source, a swap counts as ignoring it


class Validation:
    """Fixed samples of the validation split: real targets and sources without truth, and cycle triplets.

    guidance: see TripletDataset; without it the grid's guidance is grey.
    """

    def __init__(
        self,
        folder: Path,
        pairs: int,
        identity: IdentityEncoder,
        fixer: FixerNet | None,
        mesh_reader: MeshReader | None,
        guidance: bool = True,
    ) -> None:
        self.pairs, self.identity, self.fixer, self.mesh_reader = pairs, identity, fixer, mesh_reader
        self.swaps = _dataset(folder, Mix(cycle=0, real_source=0, reconstruction=0, vanilla=1), guidance)
        self.cycles = _dataset(folder, Mix(cycle=1, real_source=0, reconstruction=0, vanilla=0), guidance)

    def to(self, device: torch.device) -> None:
        """Move the frozen networks."""
        for network in (self.identity, self.fixer, self.mesh_reader):
            if network is not None:
                network.to(device)

    def figures(self, generator: Generator) -> dict[str, float]:
        """Return cosines, ranks and distances by name. They use the loss's encoder; another one would be stricter."""
        found: dict[str, list[Tensor]] = {}
        for batch in _batches(self.swaps, self.pairs):
            _collect(found, self._swap_figures(generator, batch))
        for batch in _batches(self.cycles, self.pairs // 2):
            _collect(found, self._cycle_figures(generator, batch))
        everything = {name: torch.cat(values) for name, values in found.items()}
        made, sources = everything.pop("made"), everything.pop("sources")
        similar = made @ sources.T
        own = similar.diagonal()
        first = own >= similar.amax(1) - _TIE  # a source may occur more than once
        result = {
            "identity": float(own.mean()),
            "source_first": float(first.float().mean()),
        }
        if "l1_target" in everything:
            copied = everything["l1_target"] < everything["l1_truth"]
            result["copied"] = float(copied.float().mean())
        return result | {name: float(values.mean()) for name, values in everything.items()}

    def warnings(self, figures: dict[str, float]) -> list[str]:
        """Return warnings if the network copies its target or ignores its source."""
        found = []
        if figures.get("l1_target", 1.0) < figures.get("l1_truth", 0.0):
            found.append(
                "the network copies its target: on held-out cycle triplets its output is closer to the target than "
                "to the truth; check --guidance, raise --identity_weight or --cycle_share, or wait if the run has only "
                "just begun"
            )
        if figures["identity"] < figures["before"] + _MARGIN:
            found.append(
                "the network ignores the source: its faces are hardly closer to the source than the untouched target; "
                "check --identity, raise --identity_weight, or wait if the run has only just begun"
            )
        return found

    def grid(self, generator: Generator) -> np.ndarray:
        """(H,W,3) uint8 rows of source, target, guidance, output and truth, which is grey if there is none."""
        rows: list[np.ndarray] = []
        for samples, count in zip((self.swaps, self.cycles), _GRID, strict=True):
            count = min(count, max(1, self.pairs // 2))
            for batch in _batches(samples, count):
                output = self._swap(generator, batch).cpu()
                columns = [batch["source"], batch["target"], batch["guidance"][:, :3], output, batch["truth"]]
                rows += list(np.concatenate([_pictures(one) for one in columns], axis=2))
        return np.concatenate(rows, axis=0)

    def _vectors(self, pictures: Tensor) -> tuple[Tensor, Tensor | None]:
        """(B,3,S,S) -> v_id (B,D) and, with a FixerNet, v_fix (B,D)."""
        lower = self.fixer(fixer_window(pictures)) if self.fixer is not None else None
        return self.identity(identity_window(pictures)), lower

    def _swap(self, generator: Generator, batch: Batch) -> Tensor:
        """(B,3,S,S) the outputs of a batch."""
        device = generator.device
        v_id, v_fix = self._vectors(batch["source"].to(device))
        vector = v_id if v_fix is None else torch.cat([v_id, v_fix], 1)
        guidance = batch["guidance"].to(device)
        source = batch["source"].to(device)
        return (
            generate(generator, batch["target"].to(device), vector, guidance, source)
            .image.float()
            .clamp(-1, 1)
        )

    def _swap_figures(self, generator: Generator, batch: Batch) -> dict[str, Tensor]:
        """Figures (B,) of pairs without truth, and the vectors (B,D) of outputs and sources."""
        output = self._swap(generator, batch)
        target, source = batch["target"].to(output.device), batch["source"].to(output.device)
        (ours, ours_low), (theirs, theirs_low) = self._vectors(output), self._vectors(target)
        wanted, wanted_low = self._vectors(source)
        result = {
            "made": ours,
            "sources": wanted,
            "target": (ours * theirs).sum(1),
            "before": (theirs * wanted).sum(1),
        }
        if ours_low is not None and theirs_low is not None and wanted_low is not None:
            # The published FixerNet's vectors are not normalised.
            result["lower_face"] = F.cosine_similarity(ours_low, wanted_low)
            result["lower_before"] = F.cosine_similarity(theirs_low, wanted_low)
        if self.mesh_reader is not None:
            mesh, mesh_target = self.mesh_reader(output), self.mesh_reader(target)
            result["expression"] = (openings(mesh) - openings(mesh_target)).abs().mean(1)
            result["pose"] = _pose_errors(mesh, mesh_target)
        return result

    def _cycle_figures(self, generator: Generator, batch: Batch) -> dict[str, Tensor]:
        """(B,) mean distance of the face's pixels to the truth and to the target."""
        output, face = self._swap(generator, batch).cpu(), batch["face_mask"]
        area = face.sum((1, 2, 3)) * 3
        truth, target = (
            ((output - batch[name]).abs() * face).sum((1, 2, 3)) / area for name in ("truth", "target")
        )
        return {"l1_truth": truth, "l1_target": target}


def _dataset(folder: Path, mix: Mix, guidance: bool) -> TripletDataset:
    return TripletDataset(
        folder, "validation", mix=mix, augmentation=NONE, seed=7, guidance=guidance, glasses=guidance
    )


def _batches(samples: TripletDataset, count: int) -> list[Batch]:
    items = [samples[i] for i in range(count)]
    return [complete(collate(items[start : start + _BATCH])) for start in range(0, count, _BATCH)]


def _collect(found: dict[str, list[Tensor]], values: dict[str, Tensor]) -> None:
    for name, value in values.items():
        found.setdefault(name, []).append(value.float().cpu())


def _pictures(tensors: Tensor) -> np.ndarray:
    """(B,3,H,W) in [-1,1] -> (B,H,W,3) uint8."""
    pixels = ((tensors.float() + 1) * 127.5).round().clamp(0, 255)
    return pixels.permute(0, 2, 3, 1).numpy().astype(np.uint8)


def _pose_errors(meshes: Tensor, others: Tensor) -> Tensor:
    """(B,468,3) twice -> (B,) degrees."""
    pairs = zip(meshes.cpu().numpy(), others.cpu().numpy(), strict=True)
    return torch.tensor([pose_error(mesh, other) for mesh, other in pairs])
