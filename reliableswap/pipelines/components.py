"""A pipeline's components as they run: checked, in their runtime, and up to date with their weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from reliableswap.errors import WeightsError
from reliableswap.models.base import Network
from reliableswap.models.compat import check_encoder, weights_checksum
from reliableswap.runtime import for_device
from reliableswap.runtime.base import OneByOne, Runtime
from reliableswap.runtime.state import WeightsState
from reliableswap.runtime.torch import cached_inference_copy
from reliableswap.runtime.torch_arrays import TorchArrayNetwork
from reliableswap.swap.networks import Networks

if TYPE_CHECKING:
    from .image import ReliableSwapPipeline

_NAMES = ("detector", "landmarks", "glasses", "visibility", "identity", "fixer", "generator", "people")
_ENCODERS = ("identity", "fixer")
# Not the detector, whose inputs vary in size.
_BY_RUNTIME = ("landmarks", "glasses", "visibility", "identity", "fixer", "generator")


class Components:
    """Provides the networks of a pipeline as callables, and remembers which were checked."""

    def __init__(self, pipe: ReliableSwapPipeline) -> None:
        self._pipe = pipe
        self._checked: tuple[list[Any], list[WeightsState | None]] | None = None
        self.runtime_name: str | None = None
        self._runtime: type[Runtime] | None = None
        self._by_runtime: dict[str, Runtime] = {}
        self._checksums: dict[str, tuple[Network, WeightsState, str]] = {}

    def checksums(self) -> dict[str, tuple[str, str]]:
        """Return class and weights' checksum of every network by its name; unchanged weights are not read again."""
        found = {}
        for name in _NAMES:
            network = getattr(self._pipe, name)
            if not isinstance(network, Network):
                continue
            known = self._checksums.get(name)
            if known is None or known[0] is not network or not known[1].matches(network):
                known = network, WeightsState(network), weights_checksum(network, network.checksum_settings)
                self._checksums[name] = known
            found[name] = type(network).__name__, known[2]
        return found

    @property
    def device(self) -> str:
        """The torch device that holds the components: that of diffusers' `device`, in a fraction of the time."""
        networks = (getattr(self._pipe, name) for name in _NAMES)
        parameters = (next(one.parameters(), None) for one in networks if isinstance(one, nn.Module))
        return str(next((one.device for one in parameters if one is not None), "cpu"))

    def networks(self) -> Networks:
        """Return every component in its runtime; a component whose weights changed is prepared again."""
        self.check_encoders()
        return Networks(**{name: self._running(name) for name in _NAMES})

    def _running(self, name: str) -> TorchArrayNetwork | None:
        network = getattr(self._pipe, name)
        if network is None:
            return None
        if getattr(network, "runs_itself", False):
            return TorchArrayNetwork(network)
        if self._runtime is not None and name in _BY_RUNTIME:
            known = self._by_runtime.get(name)
            if known is None or known.network is not network or not known.is_current():
                known = self._by_runtime[name] = self._runtime(network, exact=name == "landmarks")
            return TorchArrayNetwork(network, OneByOne(known) if name == "landmarks" else known)
        return TorchArrayNetwork(
            network, cached_inference_copy(network) if isinstance(network, nn.Module) else network
        )

    def check_encoders(self) -> None:
        """Raise WeightsError unless identity and fixer are those that the generator was trained with.

        The check reads all weights, so it runs only when a component or an encoder's weights have changed.
        """
        pipe = self._pipe
        if pipe.generator is None:
            return
        parts = [pipe.generator, pipe.identity, pipe.fixer]
        if self._checked is not None:
            known, states = self._checked
            encoders = parts[1:]
            if all(a is b for a, b in zip(known, parts, strict=True)) and all(
                state is None or state.matches(encoder)
                for state, encoder in zip(states, encoders, strict=True)
            ):
                return
        if pipe.identity is None:
            raise WeightsError(
                f"a {type(pipe.generator).__name__} without its identity encoder can't swap; load "
                f"{pipe.generator.config['identity_encoder'] or 'the encoder'} too"
            )
        check_encoder(pipe.generator, pipe.identity, pipe.fixer)
        self._remember()

    def _remember(self) -> None:
        parts = [self._pipe.generator, *(getattr(self._pipe, name) for name in _ENCODERS)]
        self._checked = parts, [None if part is None else WeightsState(part) for part in parts[1:]]

    @contextmanager
    def unchanged_weights(self) -> Iterator[None]:
        """Inside, components may move to another device or dtype; they need not be checked again."""
        self.check_encoders()
        yield
        self._runtime, self.runtime_name, self._by_runtime = None, None, {}
        if self._pipe.generator is not None:
            self._remember()

    def use_device(self, device: str) -> None:
        """Move the pipeline to a torch device, or run it on the CPU with another runtime of that name."""
        runtime = for_device(device)
        if runtime is None:
            self._pipe.to(device)
            return
        self._pipe.to("cpu", torch.float32)
        self._runtime, self.runtime_name = runtime, device
