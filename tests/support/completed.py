"""Completed triplet samples, one at a time instead of in batches."""

from __future__ import annotations

from torch import Tensor

from reliableswap.data.complete import complete
from reliableswap.data.samples import collate
from reliableswap.data.triplet_dataset import TripletDataset


def completed(sample: dict[str, Tensor]) -> dict[str, Tensor]:
    """Complete one sample to what TripletDataset describes."""
    return {name: value[0] for name, value in complete(collate([sample])).items() if name != "truth_rows"}


class Completed(TripletDataset):
    """A TripletDataset whose samples are complete."""

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        return completed(super().__getitem__(i))
