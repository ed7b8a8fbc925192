"""Networks, published ones and our own, with tensors in and tensors out. Public names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reliableswap.lazy import lazy_names

# The networks that may be loaded by name, and their modules; no other class is ever looked up. Those in NETWORKS are
# PyTorch layers, those in ONNX_NETWORKS third-party ONNX files.
NETWORKS = {
    "CombAutoencoder": "comb_autoencoder",
    "CombDecoder": "comb_decoder",
    "FaceDetector": "detector",
    "FaceShifterGenerator": "faceshifter",
    "FixerNet": "fixer",
    "GeneralAutoencoder": "comb_general",
    "GlassesNet": "glasses",
    "HearNet": "hear",
    "IdentityEncoder": "identity",
    "LightGenerator": "light",
    "MeshNet": "landmarks",
    "PatchDiscriminator": "discriminator",
    "PerceptualFeatures": "perceptual",
    "ProjectedDiscriminator": "projected",
    "SimSwapGenerator": "simswap",
    "VisibilityNet": "visibility",
}
ONNX_NETWORKS = {"OnnxGenerator": "onnx_generator", "OnnxIdentityEncoder": "onnx_identity"}
# Networks with words or picture tokens, that is integers, as inputs or outputs.
TOKEN_NETWORKS = {"FaceTokeniser": "unified.tokeniser", "UnifiedTransformer": "unified.transformer"}
_MODULES = (
    NETWORKS
    | ONNX_NETWORKS
    | TOKEN_NETWORKS
    | {
        "Generator": "generator",
        "GeneratorOutput": "generator",
        "ModelMixin": "base",  # DiffusionPipeline looks it up here to load this package's classes
        "Network": "base",
        "check_encoder": "compat",
        "load_network": "hub",
    }
)

__all__ = sorted(set(_MODULES) - {"ModelMixin"})

if TYPE_CHECKING:
    from .base import ModelMixin as ModelMixin
    from .base import Network as Network
    from .comb_autoencoder import CombAutoencoder as CombAutoencoder
    from .comb_decoder import CombDecoder as CombDecoder
    from .comb_general import GeneralAutoencoder as GeneralAutoencoder
    from .compat import check_encoder as check_encoder
    from .detector import FaceDetector as FaceDetector
    from .discriminator import PatchDiscriminator as PatchDiscriminator
    from .faceshifter import FaceShifterGenerator as FaceShifterGenerator
    from .fixer import FixerNet as FixerNet
    from .generator import Generator as Generator
    from .generator import GeneratorOutput as GeneratorOutput
    from .glasses import GlassesNet as GlassesNet
    from .hear import HearNet as HearNet
    from .hub import load_network as load_network
    from .identity import IdentityEncoder as IdentityEncoder
    from .landmarks import MeshNet as MeshNet
    from .light import LightGenerator as LightGenerator
    from .onnx_generator import OnnxGenerator as OnnxGenerator
    from .onnx_identity import OnnxIdentityEncoder as OnnxIdentityEncoder
    from .perceptual import PerceptualFeatures as PerceptualFeatures
    from .projected import ProjectedDiscriminator as ProjectedDiscriminator
    from .simswap import SimSwapGenerator as SimSwapGenerator
    from .unified.tokeniser import FaceTokeniser as FaceTokeniser
    from .unified.transformer import UnifiedTransformer as UnifiedTransformer
    from .visibility import VisibilityNet as VisibilityNet

__getattr__, __dir__ = lazy_names(__name__, globals(), _MODULES)
