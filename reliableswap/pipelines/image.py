"""ReliableSwapPipeline: two pictures in, one picture out."""

from __future__ import annotations

from typing import Any

from reliableswap.errors import ReliableSwapError
from reliableswap.models.comb_autoencoder import CombAutoencoder
from reliableswap.models.compat import check_encoder
from reliableswap.models.detector import FaceDetector
from reliableswap.models.fixer import FixerNet
from reliableswap.models.generator import Generator
from reliableswap.models.glasses import GlassesNet
from reliableswap.models.identity import IdentityEncoder
from reliableswap.models.landmarks import MeshNet
from reliableswap.models.onnx_identity import OnnxIdentityEncoder
from reliableswap.models.visibility import VisibilityNet
from reliableswap.safety.gates import Gates
from reliableswap.swap.networks import Networks
from reliableswap.swap.person import Person

from .calls import SwapCalls
from .components import Components
from .options import Engine as Engine
from .stored import StoredPipeline
from .trained import trained_person


class ReliableSwapPipeline(SwapCalls, StoredPipeline):
    """Swaps faces. `ReliableSwapPipeline.bundled()` needs no download:

    pipe = ReliableSwapPipeline.bundled()
    result = pipe("alice.jpg", "photo.jpg")
    result.save("swapped.png")

    Every network is a registered component: replacing one, changing its weights, `to`, `enable_model_cpu_offload` and
    `save_pretrained` apply to all of them. Without a `glasses` network, glasses are not looked for; without a
    `visibility` network, covers are found by colour. `people` holds people with a decoder of their own, see
    docs/person.md.
    """

    model_cpu_offload_seq = "detector->landmarks->glasses->visibility->identity->fixer->generator->people"
    _optional_components = ["identity", "fixer", "generator", "glasses", "visibility", "people"]  # noqa: RUF012 (the base class's own convention)

    def __init__(
        self,
        detector: FaceDetector,
        landmarks: MeshNet,
        identity: IdentityEncoder | OnnxIdentityEncoder | None = None,
        fixer: FixerNet | None = None,
        generator: Generator | None = None,
        glasses: GlassesNet | None = None,
        visibility: VisibilityNet | None = None,
        people: CombAutoencoder | None = None,
    ) -> None:
        super().__init__()
        self.register_modules(
            detector=detector,
            landmarks=landmarks,
            identity=identity,
            fixer=fixer,
            generator=generator,
            glasses=glasses,
            visibility=visibility,
            people=people,
        )
        self._running = Components(self)
        self._running.check_encoders()
        self._safety = Gates()

    def check_weights(self) -> None:
        """Raise WeightsError unless identity and fixer are those that the generator was trained with."""
        if self.generator is not None and self.identity is not None:
            check_encoder(self.generator, self.identity, self.fixer)

    def on(self, device: str) -> ReliableSwapPipeline:
        """Move to a device by name; raise a one-line error if this machine does not have it.

        Besides torch's devices there are `openvino` and `onnx`: the CPU, with all networks but the detector and
        `people` run by OpenVINO or ONNX Runtime.
        """
        try:
            self._running.use_device(device)
        except (RuntimeError, AssertionError, ValueError) as error:
            if isinstance(error, ReliableSwapError):
                raise
            reason = str(error).splitlines()[0].rstrip(".")
            raise ReliableSwapError(f"can't run on {device}: {reason}; choose cpu") from error
        return self

    def to(self, *args: Any, **kwargs: Any) -> ReliableSwapPipeline:
        """Move to a torch device or dtype; the networks then run in torch."""
        with self._running.unchanged_weights():
            moved: ReliableSwapPipeline = super().to(*args, **kwargs)
        return moved

    @property
    def place(self) -> str:
        """Where the networks run: a torch device, or the name of another runtime."""
        return self._running.runtime_name or self._running.device

    def networks(self) -> Networks:
        """Return the components as they run now; raise if generator and encoders do not belong together."""
        return self._running.networks()

    def holds(self, name: str) -> bool:
        """Whether there is a component of that name."""
        return getattr(self, name) is not None

    def trained(self, name: str) -> Person:
        """Return the person of that name, whose decoder `people` holds, as a source."""
        return trained_person(self.people, name, self.networks())

    def checksums(self) -> dict[str, tuple[str, str]]:
        """Return class and weights' checksum of every network by its name."""
        return self._running.checksums()
