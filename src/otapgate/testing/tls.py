"""Looks at a service's TLS: who it says it is, how long still, and what it still accepts."""

from __future__ import annotations

import socket
import ssl
import warnings
from datetime import UTC, datetime
from pathlib import Path

from otapgate.i18n import _, why
from otapgate.landscape.yaml_positions import shown
from otapgate.testing.limits import Limit
from otapgate.testing.plan import SecurityStep
from otapgate.testing.step_values import Tls

_OLDER = {
    "1.2": (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1),
    "1.3": (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2),
}
_LONGEST = 10.0
"""Seconds for one handshake."""


def unverified() -> ssl.SSLContext:
    """For looking at what a service serves, when whom it is has been judged already."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def check(tls: Tls, host: str, port: int, ca: Path | None, limit: Limit) -> list[str]:
    """What is wrong with the TLS of a service, each in a sentence."""
    findings = []
    try:
        context = ssl.create_default_context(cafile=str(ca) if ca is not None else None)
    except (OSError, ValueError) as error:
        return [_("The certificates to trust can't be read: {reason}.").format(reason=error)]
    if tls.minimum == "1.3":
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    certificate: bytes | None = None
    try:
        certificate = _shake(context, host, port, limit)
    except ssl.SSLCertVerificationError as error:
        findings.append(
            _("The certificate of {host} isn't to be trusted: {reason}.").format(
                host=host, reason=shown(error.verify_message, 200)
            )
        )
    except ssl.SSLError as error:
        findings.append(
            _("{host} offers no TLS {version}: {reason}.").format(
                host=host, version=tls.minimum, reason=shown(str(error.reason or error), 200)
            )
        )
    except OSError as error:
        said = _("{host}:{port} can't be reached: {reason}.")
        return [said.format(host=host, port=port, reason=why(error))]
    if certificate is None:
        try:
            certificate = _shake(unverified(), host, port, limit)
        except OSError:
            return findings  # why is among the findings
    findings += _expiry(certificate, host, tls.days_left)
    for version in _OLDER[tls.minimum]:
        findings += _accepts(version, host, port, limit)
    return findings


def _shake(context: ssl.SSLContext, host: str, port: int, limit: Limit) -> bytes | None:
    """Connect, and return the certificate (DER) that was shown."""
    patience = max(0.01, min(limit.left, _LONGEST))
    with (
        socket.create_connection((host, port), timeout=patience) as plain,
        context.wrap_socket(plain, server_hostname=host) as wrapped,
    ):
        return wrapped.getpeercert(binary_form=True)


def _expiry(certificate: bytes | None, host: str, days_left: int) -> list[str]:
    from cryptography import x509

    if certificate is None:
        return [_("{host} shows no certificate.").format(host=host)]
    try:
        end = x509.load_der_x509_certificate(certificate).not_valid_after_utc
    except ValueError as error:
        return [_("The certificate of {host} can't be read: {reason}.").format(
            host=host, reason=shown(str(error), 200))]  # fmt: skip
    left = (end - datetime.now(UTC)).days
    if left < 0:
        return [_("The certificate of {host} expired on {day}.").format(
            host=host, day=end.date().isoformat())]  # fmt: skip
    if left < days_left:
        return [_("The certificate of {host} expires on {day}, in {n} days; at least {wanted} were"
                  " asked for.").format(
            host=host, day=end.date().isoformat(), n=left, wanted=days_left)]  # fmt: skip
    return []


def _accepts(version: ssl.TLSVersion, host: str, port: int, limit: Limit) -> list[str]:
    """Whether an old version still gets in; one that can't be tried is said so."""
    name = version.name.replace("TLSv1_", "TLS 1.").replace("TLSv1", "TLS 1.0")
    context = unverified()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = version
            context.maximum_version = version
        _shake(context, host, port, limit)
    except ssl.SSLError as error:
        if error.reason in ("NO_PROTOCOLS_AVAILABLE", "NO_CIPHERS_AVAILABLE"):
            return [_("Whether {host} accepts {version} can't be tried from here.").format(
                host=host, version=name)]  # fmt: skip
        return []
    except (ConnectionResetError, ConnectionAbortedError, BrokenPipeError):
        return []  # that is how some servers say no
    except (OSError, ValueError) as error:
        return [_("Whether {host} accepts {version} isn't known: {reason}.").format(
            host=host, version=name, reason=shown(str(error), 200))]  # fmt: skip
    return [_("{host} still accepts {version}.").format(host=host, version=name)]


def trusted(step: SecurityStep, bundle: Path) -> Path | None:
    """The file of certificates that the step trusts; None for the system's."""
    return bundle / step.tls.ca if step.tls is not None and step.tls.ca else None
