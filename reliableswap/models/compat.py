"""Check that a generator and its encoders match: it works only with vectors of the encoders it was trained with."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch

from reliableswap.errors import WeightsError

from .base import Network


def weights_checksum(
    network: Network, settings: tuple[str, ...], parts: tuple[str, ...] | None = None
) -> str:
    """Return a fingerprint of the network's weights and of the named settings in its config.

    parts: prefixes of the names of weights to include; None: all.

    The weights are rounded to float16 first, so that a float16 copy and the float32 original agree. Integers
    (`num_batches_tracked`) are left out, because they do not affect the output.
    """
    digest = hashlib.sha256()
    values = {name: _as_json(network.config[name]) for name in settings}
    digest.update(json.dumps(values, sort_keys=True).encode())
    for name, tensor in sorted(network.state_dict().items()):
        if tensor.is_floating_point() and (parts is None or name.startswith(parts)):
            digest.update(f"{name}{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().to(torch.float16).contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]


def _as_json(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value


def check_encoder(generator: Network, encoder: Network, fixer: Network | None = None) -> None:
    """Raise WeightsError unless the generator was trained with this encoder and fixer."""
    wanted, config = generator.config, encoder.config
    trained_with = f"{wanted.identity_encoder or 'an unnamed encoder'} ({wanted.identity_dim}-d"
    trained_with += (
        f", checksum {wanted.identity_checksum})" if wanted.identity_checksum else ", no checksum)"
    )
    checksum = encoder.checksum()
    given = f"{encoder.label} ({config.embedding_size}-d, checksum {checksum})"
    name = type(generator).__name__
    if not wanted.identity_checksum:
        raise WeightsError(
            f"{name} was trained with {trained_with}, so {given} can't be checked; "
            "convert it again with --encoder"
        )
    if wanted.identity_checksum != checksum or wanted.identity_dim != config.embedding_size:
        raise WeightsError(
            f"{name} was trained with {trained_with}, not with {given}; load it with its own encoder"
        )
    found = fixer.config.embedding_size if fixer is not None else 0
    if wanted.fixer_dim != found:
        raise WeightsError(
            f"{name} takes {_fixer_vector(wanted.fixer_dim)} besides {wanted.identity_encoder}, but got "
            f"{_fixer_vector(found)}; "
            + (
                "load its FixerNet too"
                if wanted.fixer_dim > found
                else "leave the FixerNet out (fixer=None) or use the right one"
            )
        )
    # A converted generator stores no checksum of its FixerNet.
    if fixer is not None and wanted.fixer_checksum and wanted.fixer_checksum != fixer.checksum():
        raise WeightsError(
            f"{name} was trained with the FixerNet of checksum {wanted.fixer_checksum}, not with this one of "
            f"{fixer.checksum()}; load it with its own FixerNet"
        )


def _fixer_vector(size: int) -> str:
    return f"a {size}-d fixer vector" if size else "no fixer vector"
