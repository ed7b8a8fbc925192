"""Advice on a source photo: what it shows too little of, or too badly, for a good result."""

from __future__ import annotations

from reliableswap.faces.quality import covered_share, hard_light, sharpness
from reliableswap.geometry.measures import pose_of
from reliableswap.geometry.regions import face_width
from reliableswap.geometry.warp import scale_between

from .job import FaceJob

TURNED = 35.0  # degrees by which a source looks aside, and further than the target
SMALL = 0.5  # source pixels per target pixel
HIDDEN = 0.3  # share of the source's face behind something
BLURRED = 0.25  # sharpness of the source's crop
HARD = 0.2  # hard_light of the source


def advice(job: FaceJob) -> list[str]:
    """Return a sentence for each reason why another photo of the source would give a better result."""
    source, target = job.source, job.target
    found = []
    yaw, wanted = pose_of(source.mesh)[0], pose_of(target.mesh)[0]
    if min(abs(yaw), abs(yaw - wanted)) >= TURNED:
        found.append(
            f"The source's face looks {abs(yaw):.0f} degrees aside and the target's does not; what the photo does not "
            "show is drawn. Use one that looks more the target's way."
        )
    if scale_between(source.mesh, target.mesh) < SMALL:
        found.append(
            f"The source's face is {face_width(source.mesh):.0f} pixels wide and the target's "
            f"{face_width(target.mesh):.0f}; the result is softer than its photo. Use a larger photo."
        )
    elif sharpness(source.crop) < BLURRED:
        found.append("The source's photo is blurred, and so is the result. Use a sharper one.")
    covered = covered_share(source.strict_covers, source.mesh, source.shape)
    if covered >= HIDDEN:
        found.append(
            f"{covered:.0%} of the source's face is hidden by hair, glasses, hands or the like; what the photo does "
            "not show is drawn. Use one that shows the whole face."
        )
    if hard_light(source.copies, source.mesh, source.strict_covers) >= HARD:
        found.append(
            "The source's face is lit hard from one side, and shadows with an edge may stay in the result. Use a photo "
            "in even light."
        )
    return found
