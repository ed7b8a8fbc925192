"""Pictures to pictures: the source's real texture reenacted on the target's face. numpy and OpenCV, no networks."""

from .engine import BlendResult, BlendSettings, blend_face
from .guidance import guidance_texture
from .warp import warp_texture

__all__ = ["BlendResult", "BlendSettings", "blend_face", "guidance_texture", "warp_texture"]
