"""Signed checksums of a folder of networks: who released the weights, and whether they are unchanged."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from reliableswap.errors import ReliableSwapError
from reliableswap.media.atomic import atomic_file

from .credentials import Credentials, credentials

FILE = "CHECKSUMS.json"
_COVERED = ("*.safetensors", "*.onnx", "*.json")


@dataclass(frozen=True)
class ChecksumResult:
    """The result of a check. changed, missing, added: names of files that differ from the signed ones.

    signer: the name in the certificate.
    state: "trusted" if a given anchor vouches for the signer, "valid" if the signature holds, "invalid" if not.
    """

    state: str
    signer: str
    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the signature holds and every file is as it was signed."""
        return self.state != "invalid" and not (self.changed or self.missing or self.added)

    def to_dict(self) -> dict[str, Any]:
        """Return the answer in words and facts, ready for JSON."""
        words = {
            "trusted": "signed by a trusted signer",
            "valid": "signed by an unknown signer",
            "invalid": "NOT valid",
        }
        sentences = [f"Signature: {words[self.state]}. The certificate names {self.signer}."]
        for what in ("changed", "missing", "added"):
            if names := getattr(self, what):
                sentences.append(f"{what.capitalize()} since signing: {', '.join(names)}.")
        verdict = (
            "The networks are those that were signed."
            if self.holds
            else "The networks differ from those that were signed."
        )
        return {**vars(self), "holds": self.holds, "verdict": verdict, "sentences": sentences}


def write_checksums(folder: Path, signer: Credentials | None = None) -> Path:
    """Write CHECKSUMS.json with the SHA-256 of every network and config in the folder, and a signature of them."""
    signer = signer or credentials()
    files = _checksums(folder)
    content = {
        "files": files,
        "certificates": signer.certificates.decode(),
        "signature": base64.b64encode(_sign(signer, _canonical(files))).decode(),
    }
    path = folder / FILE
    with atomic_file(path, overwrite=True) as stream:
        stream.write((json.dumps(content, indent=1) + "\n").encode())
    return path


def check_folder(folder: Path, anchors: str | os.PathLike[str] | None = None) -> ChecksumResult:
    """Compare a folder with its CHECKSUMS.json. anchors: PEM file of certificates that vouch for signers."""
    try:
        content = json.loads((folder / FILE).read_text("utf-8"))
        files, chain = (
            dict(content["files"]),
            x509.load_pem_x509_certificates(content["certificates"].encode()),
        )
        signature = base64.b64decode(content["signature"])
    except FileNotFoundError as error:
        raise ReliableSwapError(f"{folder} has no {FILE}; `reliableswap release` writes one") from error
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReliableSwapError(f"{folder / FILE} can't be read ({error}); get an intact copy") from error
    now = _checksums(folder)
    state = "invalid"
    if _signature_holds(chain[0], signature, _canonical(files)):
        state = "trusted" if anchors and _leads_to_anchor(chain, anchors) else "valid"
    return ChecksumResult(
        state,
        chain[0].subject.rfc4514_string(),
        changed=tuple(name for name in files if name in now and now[name] != files[name]),
        missing=tuple(name for name in files if name not in now),
        added=tuple(name for name in now if name not in files),
    )


def _checksums(folder: Path) -> dict[str, str]:
    paths = {path for pattern in _COVERED for path in folder.rglob(pattern) if path.name != FILE}
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(paths)
    }


def _canonical(files: dict[str, str]) -> bytes:
    return json.dumps(files, sort_keys=True, separators=(",", ":")).encode()


def _sign(signer: Credentials, content: bytes) -> bytes:
    key = signer.private_key
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(content, ec.ECDSA(hashes.SHA256()))
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(content, _pss(), hashes.SHA256())
    return key.sign(content)


def _signature_holds(certificate: x509.Certificate, signature: bytes, content: bytes) -> bool:
    key: Any = certificate.public_key()
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, content, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, content, _pss(), hashes.SHA256())
        else:
            key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _pss() -> padding.PSS:
    return padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)


def _leads_to_anchor(chain: list[x509.Certificate], anchors: str | os.PathLike[str]) -> bool:
    """Whether the first certificate is an anchor, or the chain leads to one."""
    try:
        trusted = x509.load_pem_x509_certificates(Path(anchors).read_bytes())
    except (OSError, ValueError) as error:
        raise ReliableSwapError(f"the trusted certificates {anchors} can't be read ({error})") from error
    certificate, others = chain[0], [*chain[1:], *trusted]
    for _ in range(len(others) + 1):
        if certificate in trusted:
            return True
        issuer = next((one for one in others if one != certificate and _issued(certificate, one)), None)
        if issuer is None:
            return False
        certificate = issuer
    return False


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True
