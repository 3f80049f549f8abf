"""Keys made for a test, images that they sign, and an empty registry to put those into.

skopeo signs with GnuPG; Debian's makes no sigstore signatures: those are openssl's, and attached as
cosign does it.
"""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile

from oci_images import OCI, sha256
from registry import Registry

PAYLOAD_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
ANNOTATION = "dev.cosignproject.cosign/signature"


class EmptyRegistry(Registry):
    """A docker-registry of a test's own, with nothing in it."""

    def __init__(self, folder):  # not the parent's: there are no images that it is to have
        self.storage = os.path.join(folder, "storage")
        os.makedirs(self.storage)
        self._log_folder = folder
        self._user = self._password = self._process = self.port = None
        self.images = {}

    @property
    def host(self):
        return "127.0.0.1:%d" % self.port

    def manifest(self, name, reference):
        """A manifest's bytes and its media type."""
        answer = self.request("GET", "/v2/%s/manifests/%s" % (name, reference),
                              headers={"Accept": ", ".join((OCI + "manifest.v1+json",
                                                            OCI + "index.v1+json"))})
        return answer.body, answer.getheader("Content-Type")

    def put_manifest(self, name, reference, data, media_type):
        self.request("PUT", "/v2/%s/manifests/%s" % (name, reference), data,
                     {"Content-Type": media_type})

    def put_blob(self, name, data):
        """An upload in one piece; gives the descriptor."""
        where = self.request("POST", "/v2/%s/blobs/uploads/" % name).getheader("Location")
        path = "/" + where.split("/", 3)[3] if "://" in where else where
        path += ("&" if "?" in path else "?") + "digest=" + sha256(data)
        self.request("PUT", path, data, {"Content-Type": "application/octet-stream"})
        return {"digest": sha256(data), "size": len(data)}

    def request(self, method, path, body=None, headers=None):
        return self._request(method, path, body, headers, accept=(200, 201, 202))

    def attach(self, name, digest, signatures, layer=None):
        """Attaches (payload, signature in base64) pairs to an image; `layer` changes a layer."""
        layers = []
        for payload, signature in signatures:
            entry = {"mediaType": PAYLOAD_TYPE, **self.put_blob(name, payload),
                     "annotations": {ANNOTATION: signature}}
            layers.append({**entry, **(layer or {})})
        config = {"mediaType": OCI + "config.v1+json", **self.put_blob(name, b"{}")}
        manifest = {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json", "config": config,
                    "layers": layers}
        self.put_manifest(name, digest.replace(":", "-") + ".sig", json.dumps(manifest).encode(),
                          OCI + "manifest.v1+json")


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, timeout=60, **more).stdout


class GpgHome:
    """A keyring of its own; its agent ends with it."""

    def __init__(self, folder):
        # The agent's socket must fit into an address: the folder's path may not be long.
        self.folder = tempfile.mkdtemp(prefix="gpg-", dir="/tmp")
        self.exports = folder

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["gpgconf", "--homedir", self.folder, "--kill", "all"], check=False)
        shutil.rmtree(self.folder)

    def gpg(self, *arguments, when=None, **more):
        at = ["--faked-system-time", when] if when else []
        return run("gpg", "--homedir", self.folder, "--batch", "--yes", "--pinentry-mode",
                   "loopback", "--passphrase", "", *at, *arguments, **more)

    def make_key(self, name, lifetime="never", when=None):
        self.gpg("--quick-generate-key", name, "ed25519", "sign", lifetime, when=when)
        return name

    def fingerprint(self, name):
        listed = self.gpg("--list-keys", "--with-colons", name).decode().splitlines()
        return next(line.split(":")[9] for line in listed if line.startswith("fpr"))

    def revoke(self, name):
        path = os.path.join(self.folder, "openpgp-revocs.d", self.fingerprint(name) + ".rev")
        with open(path, encoding="utf-8") as stream:
            # The colon keeps people from importing it by accident.
            self.gpg("--import", input=stream.read().replace(":-----", "-----").encode())

    def export(self, name, suffix=""):
        """A file with the public key, as it is now."""
        path = os.path.join(self.exports, name + suffix + ".gpg")
        with open(path, "wb") as stream:
            stream.write(self.gpg("--export", name))
        return path

    def sign(self, name, payload, when=None):
        return self.gpg("--local-user", name, "--sign", when=when, input=payload)


class SigstoreKey:
    """A P-256 key; `public` is a file."""

    def __init__(self, folder, name):
        self._key = os.path.join(folder, name + ".pem")
        self.public = os.path.join(folder, name + ".pub")
        run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self._key)
        run("openssl", "pkey", "-in", self._key, "-pubout", "-out", self.public)

    def sign(self, payload):
        signature = run("openssl", "dgst", "-sha256", "-sign", self._key, input=payload)
        return base64.b64encode(signature).decode()


def payload(name, digest, kind="cosign", **critical):
    """What is signed; `kind` is cosign or atomic."""
    return json.dumps({
        "critical": {"identity": {"docker-reference": name},
                     "image": {"docker-manifest-digest": digest},
                     "type": kind + (" container image signature" if kind == "cosign"
                                     else " container signature"), **critical},
        "optional": None if kind == "cosign" else {}}).encode()


class Signer:
    """Puts images into a registry and signs them."""

    def __init__(self, registry, folder):
        self.registry = registry
        self.lookaside = os.path.join(folder, "lookaside")
        self._registries = os.path.join(folder, "registries.d")
        for path in (self.lookaside, self._registries):
            os.makedirs(path)
        with open(os.path.join(self._registries, "all.yaml"), "w", encoding="utf-8") as stream:
            # Both names of the key: it has changed.
            stream.write("default-docker:\n  lookaside-staging: file://{0}\n"
                         "  sigstore-staging: file://{0}\n".format(self.lookaside))

    def copy(self, source, name, *options, gpg=None):
        """Copies an image to `name` ("path:tag") as an OCI image; gives its manifest's digest."""
        path, _, tag = name.rpartition(":")
        environment = dict(os.environ, **({"GNUPGHOME": gpg.folder} if gpg else {}))
        run("skopeo", "--insecure-policy", "--registries.d", self._registries, "copy", "--format",
            "oci", "--src-tls-verify=false", "--dest-tls-verify=false", *options, source,
            "docker://%s/%s" % (self.registry.host, name), env=environment)
        return sha256(self.registry.manifest(path, tag)[0])

    @staticmethod
    def by_gpg(gpg, key, identity=None):
        """Options of copy()."""
        options = ["--sign-by", gpg.fingerprint(key)]
        return options + (["--sign-identity", identity] if identity else [])

    def put_aside(self, path, digest, *signatures):
        """Puts OpenPGP messages into the lookaside store, in place of what is there."""
        folder = os.path.join(self.lookaside, "%s@%s" % (path, digest.replace(":", "=")))
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)
        os.makedirs(folder)
        for number, signature in enumerate(signatures, 1):
            with open(os.path.join(folder, "signature-%d" % number), "wb") as stream:
                stream.write(signature)
