"""A small reverse proxy with TLS, in front of the real server, that can be broken on purpose."""

import gzip
import http.client
import ssl
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "server"}


def write_certificate(folder: Path, *, days: float = 90) -> tuple[Path, Path]:
    """Write a self-signed certificate for 127.0.0.1 and its key; returns both files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=100))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    paths = (folder / "certificate.pem", folder / "key.pem")
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


@dataclass(frozen=True)
class Manner:
    """How the proxy behaves; the defaults are right, each change is one mistake.

    `forwarded` is what becomes of X-Forwarded-For and -Proto: `overwrite`, `pass` on, or `drop`.
    """

    hsts: str = "max-age=31536000"
    stripped: tuple[str, ...] = ()
    added: tuple[tuple[str, str], ...] = ()
    gzip_media: bool = False
    uneven_media: bool = False
    cut_media: bool = False
    skew_s: float = 0.0
    forwarded: str = "overwrite"
    authorization: bool = True
    largest_body: int = 200_000
    close: bool = False
    ranges: bool = True


class Proxy:
    """A TLS port and a plain one (which redirects) before a server on this machine."""

    def __init__(self, backend: int, certificate: Path, key: Path) -> None:
        self.manner = Manner()
        self.redirects = True
        self._backend = backend
        self._media = 0
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._secure = self._listen(self._handler(secure=True), context)
        self._plain = self._listen(self._handler(secure=False), None)
        self.url = f"https://127.0.0.1:{self._secure.server_port}"
        self.http_port = self._plain.server_port

    def behave(self, **changes) -> None:
        self.manner = replace(Manner(), **changes)

    def close(self) -> None:
        for server in (self._secure, self._plain):
            server.shutdown()
            server.server_close()

    @staticmethod
    def _listen(handler, context) -> ThreadingHTTPServer:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        if context is not None:
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server

    def _handler(self, *, secure: bool):
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *arguments) -> None:
                """Say nothing: the test says what went wrong."""

            def do_GET(self) -> None:
                if secure or not proxy.redirects:
                    self.answer(proxy.forward(self, b""))
                else:
                    location = ("Location", proxy.url + self.path)
                    self.answer((308, [location], b""))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if len(body) > proxy.manner.largest_body:
                    self.answer((413, [], b""))
                else:
                    self.answer(proxy.forward(self, body))

            def answer(self, told) -> None:
                status, headers, body = told
                self.send_response_only(status)
                names = {name.lower() for name, _ in headers}
                for name, value in headers:
                    self.send_header(name, value)
                if "content-length" not in names:
                    self.send_header("Content-Length", str(len(body)))
                if proxy.manner.close:
                    self.send_header("Connection", "close")
                    self.close_connection = True
                self.end_headers()
                self.wfile.write(body)

        return Handler

    def forward(self, request, body: bytes):
        """Pass a request to the server and return its answer, in the manner of the moment."""
        manner = self.manner
        headers = {k: v for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP}
        if manner.forwarded == "drop":
            headers = {k: v for k, v in headers.items() if not k.lower().startswith("x-forwarded")}
        if manner.forwarded == "overwrite":
            headers["X-Forwarded-For"] = request.client_address[0]
            headers["X-Forwarded-Proto"] = "https"
        elif manner.forwarded == "pass":
            headers.setdefault("X-Forwarded-For", request.client_address[0])
            headers.setdefault("X-Forwarded-Proto", "https")
        if not manner.authorization:
            headers.pop("Authorization", None)
        if not manner.ranges:
            headers.pop("Range", None)
        connection = http.client.HTTPConnection("127.0.0.1", self._backend, timeout=10)
        connection.request(request.command, request.path, body or None, headers)
        answer = connection.getresponse()
        content = answer.read()
        kept = [(k, v) for k, v in answer.getheaders() if k.lower() not in HOP_BY_HOP]
        connection.close()
        return answer.status, *self._changed(request.path, kept, content)

    def _changed(self, path: str, headers, body: bytes):
        manner = self.manner
        media = path.startswith("/media/")
        dropped = {name.lower() for name in manner.stripped}
        if media and (manner.gzip_media or manner.cut_media):
            dropped.add("content-length")
            body = gzip.compress(body) if manner.gzip_media else body[:-10]
        if manner.skew_s:
            dropped.add("date")
            then = datetime.now(UTC) + timedelta(seconds=manner.skew_s)
            headers = [*headers, ("X-Date", format_datetime(then, usegmt=True))]
        headers = [(k, v) for k, v in headers if k.lower() not in dropped]
        headers = [("Date" if k == "X-Date" else k, v) for k, v in headers]
        if manner.hsts:
            headers.append(("Strict-Transport-Security", manner.hsts))
        if media and manner.gzip_media:
            headers.append(("Content-Encoding", "gzip"))
        if media and manner.uneven_media:
            headers.append(("X-Source", path[-8:]))
        return [*headers, *manner.added], body
