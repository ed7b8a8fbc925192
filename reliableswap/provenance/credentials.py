"""The key and certificate that sign results: configured ones, or a local pair that is made once."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import logging
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from reliableswap.errors import ReliableSwapError
from reliableswap.media.atomic import atomic_file

from .local_pair import make_pair

logger = logging.getLogger(__name__)

CERT, KEY, CONFIG = "RELIABLESWAP_CERT", "RELIABLESWAP_KEY", "RELIABLESWAP_CONFIG"
_FILE = "signing.pem"
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Credentials:
    """certificates: PEM, the signer's first. key: PEM, PKCS #8. algorithm: C2PA's name of the signature algorithm."""

    certificates: bytes
    key: bytes = field(repr=False)
    algorithm: str

    @functools.cached_property
    def private_key(self) -> PrivateKey:
        key = load_pem_private_key(self.key, None)
        assert isinstance(key, PrivateKey)
        return key


def credentials(
    cert: str | os.PathLike[str] | None = None, key: str | os.PathLike[str] | None = None
) -> Credentials:
    """Return the credentials of two PEM files, by default those that the environment names, else the local pair.

    cert: the signer's certificate, followed by those of its issuers. key: not encrypted.
    """
    if cert is None and key is None:
        cert, key = os.environ.get(CERT) or None, os.environ.get(KEY) or None
    if cert is None and key is None:
        return local_credentials(config_folder())
    if cert is None or key is None:
        raise ReliableSwapError(
            f"signing needs a certificate and its key, and only one was given; set both {CERT} and {KEY}"
        )
    return parse_credentials(_read(cert, "certificate"), _read(key, "key"), os.fspath(cert), os.fspath(key))


def config_folder() -> Path:
    """Return the user's folder of settings: RELIABLESWAP_CONFIG, or the platform's usual place."""
    if given := os.environ.get(CONFIG):
        return Path(given)
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "ReliableSwap"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "ReliableSwap"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "reliableswap"


def local_credentials(folder: Path) -> Credentials:
    """Return the local pair in the folder. It is made on first use, and only its owner can read it."""
    path = folder / _FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.is_file():
            _write_new(path, make_pair())
        return _local(path)
    except OSError as error:
        logger.warning(
            "%s can't hold a signing key (%s); results of this process are signed with a temporary one. Set %s "
            "to a writable folder.",
            folder,
            error.strerror or error,
            CONFIG,
        )
        return _temporary_pair()


def _local(path: Path) -> Credentials:
    content = path.read_bytes()
    if os.name == "posix" and path.stat().st_mode & 0o077:
        logger.warning("%s could be read by other users; its permissions are now 0600", path)
        path.chmod(0o600)
    found = parse_credentials(content, content, str(path), str(path))
    end = x509.load_pem_x509_certificates(found.certificates)[0].not_valid_after_utc
    if end > dt.datetime.now(dt.UTC) + dt.timedelta(days=1):
        return found
    path.rename(path.with_suffix(".expired.pem"))
    _write_new(path, make_pair())
    return _local(path)


@functools.cache
def _temporary_pair() -> Credentials:
    content = make_pair()
    return parse_credentials(content, content, "temporary pair", "temporary pair")


def parse_credentials(cert: bytes, key: bytes, cert_name: str, key_name: str) -> Credentials:
    """Check that a PEM key belongs to the first of the PEM certificates; the names are for error messages."""
    try:
        chain = x509.load_pem_x509_certificates(cert)
    except ValueError as error:
        raise ReliableSwapError(f"{cert_name} holds no PEM certificate; give the signer's chain") from error
    try:
        private = load_pem_private_key(key, None)
    except TypeError as error:
        raise ReliableSwapError(
            f"{key_name} is encrypted; give the key without a passphrase, readable by you only"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ReliableSwapError(f"{key_name} holds no PEM private key; give the signer's key") from error
    if not isinstance(private, PrivateKey):
        raise ReliableSwapError(
            f"{key_name} is of a type that C2PA does not support; give an EC, Ed25519 or RSA key"
        )
    public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if public != chain[0].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo):
        raise ReliableSwapError(
            f"{key_name} is not the key of the first certificate in {cert_name}; put the signer's certificate first"
        )
    return Credentials(
        b"".join(one.public_bytes(Encoding.PEM) for one in chain),
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        _algorithm(private, key_name),
    )


def _algorithm(key: PrivateKey, name: str) -> str:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return "ps256"
    if key.curve.name not in _CURVES:
        raise ReliableSwapError(f"{name} uses the curve {key.curve.name}; C2PA supports {', '.join(_CURVES)}")
    return _CURVES[key.curve.name]


def _write_new(path: Path, content: bytes) -> None:
    """Atomically write a file that only its owner can read. Keep a file that another process wrote in the meantime."""
    with contextlib.suppress(FileExistsError), atomic_file(path, overwrite=False, mode=0o600) as stream:
        stream.write(content)


def _read(path: str | os.PathLike[str], what: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ReliableSwapError(
            f"the {what} {os.fspath(path)} can't be read ({error.strerror or error}); check {CERT} and {KEY}"
        ) from error
