"""Streams over TLS, as another host's API server would use them."""

import os
import ssl
import subprocess

import pytest

import streams

SLEEP = ["sleep", "1000"]

pytestmark = pytest.mark.berth


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class Certificates:
    """Files in a folder: NAME.pem and NAME.key."""

    def __init__(self, folder):
        self.folder = folder

    def certificate(self, name):
        return str(self.folder / (name + ".pem"))

    def key(self, name):
        return str(self.folder / (name + ".key"))

    def authority(self, name):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-subj", "/CN=" + name, "-days", "2",
                "-keyout", self.key(name), "-out", self.certificate(name))

    def issue(self, name, authority, serial):
        request = str(self.folder / (name + ".csr"))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-subj", "/CN=" + name, "-keyout", self.key(name), "-out", request)
        (self.folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
        openssl("x509", "-req", "-in", request, "-CA", self.certificate(authority),
                "-CAkey", self.key(authority), "-set_serial", str(serial), "-days", "2",
                "-extfile", str(self.folder / "names"), "-out", self.certificate(name))


def settings(certificates):
    return "\n".join([
        "[streaming]", 'tls_cert = "%s"' % certificates.certificate("server"),
        'tls_key = "%s"' % certificates.key("server"),
        'tls_client_ca = "%s"' % certificates.certificate("clients"), ""])


def client_of(certificates, identity):
    """What a client trusts, and what it shows."""
    context = ssl.create_default_context(cafile=certificates.certificate("servers"))
    if identity:
        context.load_cert_chain(certificates.certificate(identity), certificates.key(identity))
    return context


def test_commands_over_tls(own_bed, tmp_path, name):
    certificates = Certificates(tmp_path)
    for authority in ("servers", "clients", "strangers"):
        certificates.authority(authority)
    certificates.issue("server", "servers", 1)
    certificates.issue("known", "clients", 2)
    certificates.issue("unknown", "strangers", 3)
    bed = own_bed(settings=settings(certificates))
    container = bed.run(bed.run_pod(name), "c", command=SLEEP)

    def run(transport, identity):
        url = bed.cri.Exec({"container_id": container, "cmd": ["echo", "through TLS"],
                            "stdout": True}).url
        assert url.startswith("https://127.0.0.1:")
        with streams.open(transport, url, tls=client_of(certificates, identity)) as session:
            serial = int(session.socket.getpeercert()["serialNumber"], 16)
            return serial, session.finish()

    for transport in ("spdy", "websocket"):
        served = (b"through TLS\n", {"metadata": {}, "status": "Success"})
        assert run(transport, "known") == (1, served)
        for identity in (None, "unknown"):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                run(transport, identity)

    # The operator replaces the certificate: the files change one after the other.
    for kind in ("key", "pem"):
        os.rename(tmp_path / ("server." + kind), tmp_path / ("old." + kind))
    certificates.issue("server", "servers", 4)
    assert run("websocket", "known") == (4, served)
