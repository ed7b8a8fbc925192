"""Advice on a source photo: why another photo of the same person would give a better result."""

from __future__ import annotations

from reliableswap.faces.quality import covered_share, sharpness
from reliableswap.geometry.measures import pose_of
from reliableswap.geometry.regions import face_width

from .job import FaceJob

_TURNED = 35.0  # degrees of yaw, of the source and relative to the target
_SMALL = 0.5  # of the target's face width
_BLURRED = 0.25  # sharpness of the source's crop of 128 px
_LEAST_WIDTH = 90.0  # pixels of a face's width from which that crop is no enlargement
_HIDDEN = 0.3  # share of the source's face behind something
_HARD_LIGHT = 0.2  # Subject.hard_light from which shadows have edges


def advice(job: FaceJob) -> list[str]:
    """Return a sentence for each property of the source's photo that shows in results."""
    source, target = job.source, job.target
    sentences = []
    yaw, target_yaw = pose_of(source.mesh)[0], pose_of(target.mesh)[0]
    if min(abs(yaw), abs(yaw - target_yaw)) >= _TURNED:
        sentences.append(
            f"The source's face is turned {abs(yaw):.0f}° to the side and the target's differently, so part of the "
            "face does not come from the source; a photo from a more similar angle works better."
        )
    width, target_width = (face_width(one.mesh) * one.extent[0] / one.shape[1] for one in (source, target))
    if width < _SMALL * target_width:
        sentences.append(
            f"The source's face is {width:.0f} pixels wide and the target's {target_width:.0f}, so the result is less "
            "sharp than its photo; a larger photo works better."
        )
    elif width >= _LEAST_WIDTH and sharpness(source.crop) < _BLURRED:
        sentences.append("The source's photo is blurred, and so is the result; a sharper photo works better.")
    hidden = covered_share(source.strict_covers, source.mesh, source.shape)
    if hidden >= _HIDDEN:
        sentences.append(
            f"{hidden:.0%} of the source's face is hidden, for example by hair, glasses or a hand, so part of the face "
            "does not come from the source; a photo of the whole face works better."
        )
    if source.hard_light >= _HARD_LIGHT:
        sentences.append(
            "The source's face is lit from one side with hard shadows, and their edges may show in the result; a photo "
            "in even light works better."
        )
    return sentences
