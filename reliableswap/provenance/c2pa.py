"""Signed metadata by C2PA: write a manifest into a file, and read and check the one that a file carries.

Nothing here uses the network: remote manifests, revocation lists and timestamps are not requested.
"""

from __future__ import annotations

import io
import json
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal

import c2pa

from reliableswap import __version__
from reliableswap.errors import PictureError

from .credentials import Credentials
from .metadata import NAME, is_ai_source_type
from .origin import Origin
from .record import Record

logger = logging.getLogger(__name__)

ASSERTION = "org.reliableswap.record"
State = Literal["trusted", "valid", "invalid", "unreadable"]

_SETTINGS: Mapping[str, Any] = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_after_sign": True},
    # A thumbnail would show the target's face as it was.
    "builder": {
        "thumbnail": {"enabled": False},
        "created_assertion_labels": ["c2pa.actions", "c2pa.actions.v2", ASSERTION],
    },
}
_UNTRUSTED = "signingCredential.untrusted"  # not a fault of the file: no anchor vouches for the certificate
_AGENT = {"name": NAME, "version": __version__}
# The file's bytes or the asset's boxes are no longer those that were signed.
_CHANGED = ("assertion.dataHash.mismatch", "assertion.bmffHash.mismatch", "assertion.boxesHash.mismatch")


@dataclass(frozen=True)
class Manifest:
    """What a file's C2PA manifest states, and whether it is valid.

    state: "trusted" if a given anchor vouches for the signer, "valid" if nothing was changed since an unknown signer
    signed it, "invalid" if the file or the manifest was changed, "unreadable" if the manifest is damaged.
    faults: C2PA's error codes. source_types: of its own actions and those of its ancestors. parents: labels of its
    ancestors' manifests, the nearest first. statement: ReliableSwap's own record.
    """

    state: State
    label: str = ""
    software: str = ""
    signer: str = ""
    faults: tuple[str, ...] = ()
    source_types: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    statement: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ai_made(self) -> bool:
        """Whether an action says that a trained algorithm made the picture or a part of it."""
        return any(map(is_ai_source_type, self.source_types))

    @property
    def made_here(self) -> bool:
        """Whether the manifest says that ReliableSwap made the picture."""
        return self.ai_made and self.software.startswith(NAME)

    @property
    def content_changed(self) -> bool:
        """Whether the picture is no longer the one that was signed."""
        return any(fault in _CHANGED for fault in self.faults)


def sign(
    content: bytes, media_type: str, record: Record, signer: Credentials, name: str = "picture"
) -> bytes:
    """Return an encoded picture with a signed manifest; `name` stands for it in error messages."""
    out = io.BytesIO()
    sign_stream(io.BytesIO(content), out, media_type, record, signer, name)
    return out.getvalue()


def sign_stream(
    source: BinaryIO, out: BinaryIO, media_type: str, record: Record, signer: Credentials, name: str = "file"
) -> None:
    """Write the file in `source` to `out` (also readable) with a signed manifest.

    The record's target becomes the parent ingredient, with its own manifest if it has one. A manifest that can't be
    read is left out, and the record says so.
    """
    info = c2pa.C2paSignerInfo(signer.algorithm, signer.certificates, signer.key, None)
    try:
        with c2pa.Context.from_dict(dict(_SETTINGS), signer=c2pa.Signer.from_info(info)) as context:
            _builder(record, media_type, context).sign(media_type, source, out)
    except c2pa.C2paError as error:
        reason = " ".join(str(error).split())
        raise PictureError(
            f"{name} can't be signed ({reason}); check the certificate: docs/provenance.md lists what C2PA "
            "requires of it"
        ) from error


def _builder(record: Record, media_type: str, context: c2pa.Context) -> c2pa.Builder:
    statement = record.statement()
    for one, facts in zip(record.sources, statement.get("sources", []), strict=True):
        facts.update(_manifest_facts(one))
    target = record.target
    if target is not None and target.signed is not None:
        ingredient = _ingredient(target)
        builder = c2pa.Builder(_definition(record, statement, media_type, ingredient, given=False), context)
        try:
            builder.add_ingredient(ingredient, target.media_type, io.BytesIO(target.signed))
            return builder
        except c2pa.C2paError as error:
            builder.close()
            reason = " ".join(str(error).split())
            logger.warning("the target's C2PA manifest can't be read and is not carried over (%s)", reason)
            statement["target"]["manifest"] = f"unreadable: {reason}"
    given = None if target is None else _ingredient(target)
    return c2pa.Builder(_definition(record, statement, media_type, given, given=True), context)


def _definition(
    record: Record,
    statement: Mapping[str, Any],
    media_type: str,
    ingredient: Mapping[str, str] | None,
    *,
    given: bool,
) -> dict[str, Any]:
    """Return the manifest's definition. given: put the ingredient in it; otherwise the caller adds it from its file."""
    made = {
        "description": record.action,
        "digitalSourceType": record.source_type,
        "softwareAgent": _AGENT,
        "when": record.time,
    }
    actions: list[dict[str, Any]] = [{"action": "c2pa.created", **made}]
    if ingredient is not None:
        opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": [ingredient["instance_id"]]}}
        actions = [opened, {"action": "c2pa.edited", **made}]
    return {
        "label": record.id,
        "claim_generator_info": [_AGENT],
        "format": media_type,
        "title": record.action,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": actions}},
            {"label": ASSERTION, "data": statement},
        ],
        "ingredients": [ingredient] if ingredient is not None and given else [],
    }


def _ingredient(target: Origin) -> dict[str, str]:
    """Describe the target without its file's name, which may tell who is shown."""
    facts = {
        "title": "target",
        "relationship": "parentOf",
        "instance_id": f"xmp:iid:{uuid.uuid4()}",
        "format": target.media_type,
    }
    return {name: value for name, value in facts.items() if value}


def _manifest_facts(origin: Origin) -> dict[str, str]:
    """Return the label of a source's manifest; its content, which may show the face, is not copied."""
    if origin.signed is None:
        return {}
    found = read_manifest(io.BytesIO(origin.signed), origin.media_type)
    return {} if found is None else {"manifest": found.label or found.state}


def read_manifest(stream: BinaryIO, media_type: str = "", anchors: str | None = None) -> Manifest | None:
    """Check the manifest of a file in which `origin.scan` found one; return None if it has none after all.

    media_type: empty to detect it from the content. anchors: PEM of the certificates to trust.
    """
    settings: dict[str, Any] = dict(_SETTINGS)
    if anchors:
        settings["trust"] = {"user_anchors": anchors}
    stream.seek(0)
    try:
        with c2pa.Context.from_dict(settings) as context:
            reader = c2pa.Reader.try_create(media_type or None, stream, context=context)
            if reader is None:
                return None
            with reader:
                found = json.loads(reader.json())
    except c2pa.C2paError as error:
        if isinstance(error, c2pa.C2paError.NotSupported):
            return None
        return Manifest("unreadable", faults=(" ".join(str(error).split()),))
    try:
        return _manifest(found)
    except (AttributeError, KeyError, TypeError):  # assertions may hold anything
        return Manifest("unreadable", faults=("assertions of an unknown form",))


def _manifest(found: Mapping[str, Any]) -> Manifest:
    """Turn the reader's JSON into a Manifest."""
    manifests, label = found["manifests"], found.get("active_manifest", "")
    active = manifests.get(label, {})
    state: State = {"Trusted": "trusted", "Valid": "valid"}.get(found["validation_state"], "invalid")  # type: ignore[assignment]
    agent = next(iter(active.get("claim_generator_info") or [{"name": active.get("claim_generator", "")}]))
    parents = _ancestors(manifests, active)
    chain = [active, *(manifests.get(parent, {}) for parent in parents)]
    signature = active.get("signature_info") or {}
    faults = (one["code"] for one in found.get("validation_status") or [])
    return Manifest(
        state,
        label,
        " ".join(str(agent[key]) for key in ("name", "version") if agent.get(key)),
        " / ".join(str(signature[key]) for key in ("issuer", "common_name") if signature.get(key)),
        tuple(dict.fromkeys(code for code in faults if code != _UNTRUSTED)),
        tuple(dict.fromkeys(kind for one in chain for kind in _source_types(one))),
        tuple(parents),
        next((dict(one["data"]) for one in active.get("assertions", []) if one["label"] == ASSERTION), {}),
    )


def _source_types(manifest: Mapping[str, Any]) -> list[str]:
    actions = [
        action
        for one in manifest.get("assertions", [])
        if one["label"].startswith("c2pa.actions")
        for action in one["data"].get("actions", [])
    ]
    return [one["digitalSourceType"] for one in actions if one.get("digitalSourceType")]


def _ancestors(manifests: Mapping[str, Any], manifest: Mapping[str, Any]) -> list[str]:
    labels: list[str] = []
    while manifest:
        parents = (one for one in manifest.get("ingredients", []) if one.get("relationship") == "parentOf")
        label = next((one["active_manifest"] for one in parents if one.get("active_manifest")), None)
        if label is None or label in labels:
            break
        labels.append(label)
        manifest = manifests.get(label, {})
    return labels
