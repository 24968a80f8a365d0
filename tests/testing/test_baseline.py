"""The security baseline: a real TLS service with a generated certificate, real ports."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from otapgate.landscape.model import Environment, Host
from otapgate.release.store import Store
from otapgate.testing import ports
from otapgate.testing.limits import Limit
from otapgate.testing.run import Hands, PlaybookResult, RunResult

from .conftest import Carried

GOOD = {
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "Set-Cookie": "session=1; Secure; HttpOnly; SameSite=Lax",
}
BAD = {"X-Powered-By": "PHP/5.3", "Set-Cookie": "session=1; SameSite=None", "X-Frame-Options": "x"}
LISTING = b"<html><head><title>Index of /static</title></head></html>"


class Site(BaseHTTPRequestHandler):
    """A service with headers, and with pages that it should or shouldn't have."""

    headers_sent: dict[str, str]
    pages: dict[str, tuple[int, bytes]]

    def do_GET(self) -> None:
        status, body = self.pages.get(self.path, (404, b"no"))
        self.send_response(status)
        for name, value in self.headers_sent.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return


class Quiet(ThreadingHTTPServer):
    """Handshakes that are refused on purpose are no news."""

    def handle_error(self, request: Any, address: Any) -> None:
        return


def certificate(folder: Path, *, days: int = 90, name: str = "127.0.0.1") -> tuple[Path, Path]:
    """A self-signed certificate and its key, for an address of loopback."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "school test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=days, hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(name))]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "ca.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return public, private


Serve = Callable[..., int]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a service over TLS; its port."""
    running: list[tuple[Quiet, threading.Thread]] = []

    def start(
        headers: dict[str, str],
        pages: dict[str, tuple[int, bytes]] | None = None,
        *,
        pair: tuple[Path, Path] | None = None,
        oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
        newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    ) -> int:
        handler = type(
            "Now",
            (Site,),
            {"headers_sent": headers, "pages": {"/": (200, b"hello"), **(pages or {})}},
        )
        server = Quiet(("127.0.0.1", 0), handler)
        if pair is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*pair)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.set_ciphers("ALL:@SECLEVEL=0")
                context.minimum_version = oldest
                context.maximum_version = newest
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        running.append((server, thread))
        return server.server_port

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


def looked(carried: Carried, step: dict[str, Any], store: Store, **options: Any) -> list[str]:
    """The findings of one security step."""
    result: RunResult = carried([{"id": "c", "steps": [{"security": step}]}], **options)
    found = json.loads(store.get(result.evidence))["cases"][0]["steps"][0]
    assert (result.outcome == "passed") == (found.get("findings", []) == [])
    findings: list[str] = found.get("findings", [])
    return findings


def secure(port: int, **fields: Any) -> dict[str, Any]:
    return {
        "url": f"https://127.0.0.1:{port}/",
        "tls": {"ca": "ca.pem"},
        "headers": {"Strict-Transport-Security": "max-age", "X-Content-Type-Options": "nosniff"},
        "no_headers": ["X-Powered-By"],
        "no_pages": ["/.env", "/server-status"],
        "no_listings": ["/static/"],
        "cookies": {},
        **fields,
    }


def test_a_service_that_is_in_order_has_no_findings(
    carried: Carried, store: Store, serve: Serve, tmp_path: Path
) -> None:
    pair = certificate(tmp_path)
    port = serve(GOOD, pair=pair)
    assert looked(carried, secure(port), store, files={"ca.pem": pair[0].read_text()}) == []


def test_every_departure_is_named_at_once(
    carried: Carried, store: Store, serve: Serve, tmp_path: Path
) -> None:
    pair = certificate(tmp_path, days=10)
    pages = {"/.env": (200, b"KEY=1"), "/server-status": (500, b""), "/static/": (200, LISTING)}
    port = serve(BAD, pages, pair=pair, oldest=ssl.TLSVersion.TLSv1)
    step = secure(port, headers={"Strict-Transport-Security": "", "X-Frame-Options": "DENY"})
    found = looked(carried, step, store, files={"ca.pem": pair[0].read_text()})
    told = "\n".join(found)
    for words in (
        "in 10 days; at least 30", "still accepts TLS 1.0", "still accepts TLS 1.1",
        "Strict-Transport-Security is lacking", "X-Frame-Options says 'x'", "X-Powered-By tells",
        "session lacks Secure, HttpOnly, SameSite", "/.env answers with a page",
        "/server-status answers with an error", "/static/ lists its folder",
    ):  # fmt: skip
        assert words in told, told
    assert len(found) == 10, found


@pytest.mark.parametrize(
    ("days", "trust", "words"),
    [(-1, True, "expired on"), (90, False, "isn't to be trusted")],
)
def test_a_certificate_that_has_expired_or_that_nobody_vouches_for_is_found(
    carried: Carried, store: Store, serve: Serve, tmp_path: Path, days: int, trust: bool,
    words: str,
) -> None:  # fmt: skip
    pair = certificate(tmp_path, days=days)
    port = serve(GOOD, pair=pair)
    step = {"url": f"https://127.0.0.1:{port}/", "tls": {"ca": "ca.pem"} if trust else {}}
    found = looked(carried, step, store, files={"ca.pem": pair[0].read_text()})
    assert words in "\n".join(found)


def test_a_certificate_of_another_name_is_found(
    carried: Carried, store: Store, serve: Serve, tmp_path: Path
) -> None:
    pair = certificate(tmp_path, name="127.0.0.9")
    port = serve(GOOD, pair=pair)
    step = {"url": f"https://127.0.0.1:{port}/", "tls": {"ca": "ca.pem"}}
    (finding,) = looked(carried, step, store, files={"ca.pem": pair[0].read_text()})
    assert "isn't to be trusted" in finding


def test_a_service_without_the_newest_tls_is_found_where_that_is_asked(
    carried: Carried, store: Store, serve: Serve, tmp_path: Path
) -> None:
    pair = certificate(tmp_path)
    port = serve(GOOD, pair=pair, newest=ssl.TLSVersion.TLSv1_2)
    step = {"url": f"https://127.0.0.1:{port}/", "tls": {"ca": "ca.pem", "minimum": "1.3"}}
    found = looked(carried, step, store, files={"ca.pem": pair[0].read_text()})
    assert any("offers no TLS 1.3" in finding for finding in found), found
    assert any("still accepts TLS 1.2" in finding for finding in found), found


def test_without_tls_and_without_a_service_that_is_what_is_found(
    carried: Carried, store: Store, serve: Serve
) -> None:
    port = serve(GOOD)
    assert (
        "isn't https" in looked(carried, {"url": f"http://127.0.0.1:{port}/", "tls": {}}, store)[0]
    )
    step = {"url": "http://127.0.0.1:1/", "headers": {"x": ""}}
    assert "gave no answer" in looked(carried, step, store)[0]
    step = {"url": "http://192.0.2.1/", "headers": {"x": ""}}
    assert "no host of this environment" in looked(carried, step, store)[0]
    step = {"url": f"http://127.0.0.1:{port}/", "no_pages": ["http://127.0.0.1:1/x"]}
    assert "another service" in looked(carried, step, store)[0]


def test_exactly_the_declared_ports_are_open(
    carried: Carried, store: Store, environment: Environment
) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        first, second = one.getsockname()[1], two.getsockname()[1]
        scan = [str(first), str(second)]
        assert looked(carried, {"ports": [first, second], "scan": scan}, store) == []
        (finding,) = looked(carried, {"ports": [first], "scan": scan}, store)
        assert finding == f"Port {second} of 127.0.0.1 is open and isn't declared."
        found = looked(carried, {"ports": [first, 1], "scan": [str(first)]}, store)
        assert found == ["Port 1 of 127.0.0.1 isn't open, and it was declared."]
        hosts = (Host("t1", {"ansible_host": "127.0.0.1"}), Host("t2", {}))
        two_hosts = msgspec.structs.replace(environment, hosts=hosts)
        step = {"ports": [first], "scan": [str(first)]}
        assert "several hosts" in looked(carried, step, store, environment=two_hosts)[0]
        assert looked(carried, {**step, "host": "t1"}, store, environment=two_hosts) == []


def test_a_host_of_which_nothing_is_heard_is_not_taken_for_closed() -> None:
    found = ports.check("host.invalid", [], ["22"], Limit())
    assert "could not be tried" in found[0]
    found = ports.check("127.0.0.1", [], ["1"], Limit().within(0, "step"))
    assert found == []


FILES = {"/etc/agenda.ini": "0640", "/etc/other": "0600"}


def test_file_modes_are_looked_at_through_a_playbook(carried: Carried, store: Store) -> None:
    seen: list[Any] = []

    def ansible(playbook: Path, _stop: object) -> PlaybookResult:
        seen.append(json.loads(playbook.read_text()))
        output = (
            'fatal: [t1]: FAILED! => {"msg": "otapgate-findings: /etc/agenda.ini has mode 0644,'
            ' and 0640 was declared | /etc/other is not there"}\n'
        )
        return PlaybookResult(False, "Compare the modes failed on t1", output.encode())

    found = looked(carried, {"files": FILES}, store, hands=Hands(ansible=ansible))
    assert found == [
        "t1: /etc/agenda.ini has mode 0644, and 0640 was declared", "t1: /etc/other is not there",
    ]  # fmt: skip
    assert len(seen[0][0]["tasks"]) == 3
    assert "can't be run" in looked(carried, {"files": FILES}, store)[0]
