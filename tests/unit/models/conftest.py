from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def _seed() -> None:
    """The same random weights and inputs in every run."""
    torch.manual_seed(0)
