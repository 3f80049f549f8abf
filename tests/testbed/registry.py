"""A loopback registry (Debian's docker-registry) that holds the test images.

All source registries are served by one process: an image `host/path:tag` is stored as
`host/path`, and an engine is told that the mirror of `host` is `http://127.0.0.1:PORT/host`.
"""

import base64
import concurrent.futures
import contextlib
import fcntl
import functools
import http.client
import json
import os
import shutil
import socket
import subprocess
import time
import warnings

import bad_images
import image_set
import rootfs
from oci_images import Layout, read_blob, read_layout

START_SECONDS = 30
STALE_SECONDS = 24 * 3600


def split_reference(reference):
    """host/path:tag → (host, path, tag)."""
    host, _, rest = reference.partition("/")
    path, _, tag = rest.rpartition(":")
    return host, path, tag


@contextlib.contextmanager
def locked(path):
    """Holds a lock file, so that two runs do not build the same images at once."""
    with open(path, "w", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def remove_stale(cache):
    """Removes what earlier versions of the images left; a run that is going on may use theirs."""
    for entry in os.scandir(cache):
        old = time.time() - entry.stat().st_mtime > STALE_SECONDS
        if old and entry.is_dir() and entry.name.startswith(("images-", "registry-", "new-")):
            shutil.rmtree(entry.path)


@functools.cache
def build_layout(cache):
    """The layout folder with all test images; made, once a process at most, when something it
    depends on has changed.

    $BERTH_TEST_IMAGES names one that was made before, on another machine perhaps."""
    if "BERTH_TEST_IMAGES" in os.environ:
        return os.environ["BERTH_TEST_IMAGES"]
    os.makedirs(cache, exist_ok=True)
    folder = os.path.join(cache, "images-" + rootfs.fingerprint())
    with locked(os.path.join(cache, "images.lock")):
        if not os.path.isdir(folder):
            remove_stale(cache)
            staging = folder.replace("images-", "new-images-")
            shutil.rmtree(staging, ignore_errors=True)
            layout = Layout(staging)
            parts = image_set.Parts()
            image_set.add_conformance(layout, parts)
            image_set.add_integration(layout, parts)
            bad_images.add_bad_images(layout, parts)
            layout.finish()
            os.rename(staging, folder)
    return folder


def bcrypt(password):
    """A password's hash as htpasswd keeps it; docker-registry takes no other kind."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import crypt  # gone in Python 3.13, present in Debian 12's
    return crypt.crypt(password, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Registry:
    """A running docker-registry. `start` fills its storage unless an earlier run has."""

    def __init__(self, cache, log_folder, user=None, password=None):
        self.layout = build_layout(cache)
        self.storage = self.layout.replace("images-", "registry-")
        self._log_folder = log_folder
        self._user, self._password = user, password
        self._process = None
        self.port = None
        self.images = read_layout(self.layout)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self):
        return self._process.pid if self._process else None

    @property
    def hosts(self):
        return sorted({split_reference(reference)[0] for reference in self.images})

    def mirror(self, host):
        """The URL that serves `host`'s repositories."""
        return "http://127.0.0.1:%d/%s" % (self.port, host)

    def digest(self, reference):
        """The digest of the named image's manifest or index."""
        return self.images[reference]["digest"]

    def manifest(self, reference):
        """The named image's manifest for this machine."""
        manifest = json.loads(read_blob(self.layout, self.digest(reference)))
        if "manifests" in manifest:
            architecture = image_set.Image([]).architecture
            wanted = next(entry for entry in manifest["manifests"]
                          if entry["platform"]["architecture"] == architecture)
            manifest = json.loads(read_blob(self.layout, wanted["digest"]))
        return manifest

    def config_digest(self, reference):
        """The digest of the named image's configuration for this machine: its CRI image id."""
        return self.manifest(reference)["config"]["digest"]

    def start(self):
        os.makedirs(self._log_folder, exist_ok=True)
        deadline = time.monotonic() + START_SECONDS
        while not self._serve_once(deadline):
            # Another program took the port between the probe and the start.
            if time.monotonic() > deadline:
                raise RuntimeError("docker-registry does not start: see " + self._log_path())
        with locked(self.storage + ".lock"):
            filled = os.path.join(self.storage, "filled")
            if not os.path.exists(filled):
                self._push_all()
                with open(filled, "w", encoding="utf-8"):
                    pass
        return self

    def stop(self):
        if self._process:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def _log_path(self):
        return os.path.join(self._log_folder, "registry.log")

    def _serve_once(self, deadline):
        self.port = free_port()
        config = os.path.join(self._log_folder, "registry-%d.json" % self.port)
        with open(config, "w", encoding="utf-8") as stream:
            json.dump(self._configuration(), stream)
        with open(self._log_path(), "ab") as log:
            self._process = subprocess.Popen(
                ["docker-registry", "serve", config], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                self._request("GET", "/v2/").close()
                return True
            except OSError:
                time.sleep(0.02)
        self.stop()
        return False

    def _configuration(self):
        config = {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": self.storage, "maxthreads": 100}},
            "http": {"addr": "127.0.0.1:%d" % self.port},
        }
        if self._user:
            path = os.path.join(self._log_folder, "htpasswd-%d" % self.port)
            with open(path, "w", encoding="utf-8") as stream:
                stream.write("%s:%s\n" % (self._user, bcrypt(self._password)))
            config["auth"] = {"htpasswd": {"realm": "berth-tests", "path": path}}
        return config

    def _request(self, method, path, body=None, headers=None, accept=()):
        headers = dict(headers or {})
        if self._user:
            token = base64.b64encode(("%s:%s" % (self._user, self._password)).encode()).decode()
            headers["Authorization"] = "Basic " + token
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        data = answer.body = answer.read()
        connection.close()
        if accept and answer.status not in accept:
            raise RuntimeError("the registry answered %d to %s %s: %s" % (
                answer.status, method, path, data.decode(errors="replace")))
        return answer

    def _push_all(self):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            pushed = {}
            for reference, descriptor in self.images.items():
                host, path, tag = split_reference(reference)
                self._push_manifest(host + "/" + path, descriptor, tag, pushed, pool)

    def _push_manifest(self, name, descriptor, tag, pushed, pool):
        data = read_blob(self.layout, descriptor["digest"])
        manifest = json.loads(data)
        for child in manifest.get("manifests", []):
            self._push_manifest(name, child, child["digest"], pushed, pool)
        blobs = {blob["digest"]: blob for blob in
                 manifest.get("layers", []) + ([manifest["config"]] if "config" in manifest else [])}
        for _ in pool.map(lambda digest: self._push_blob(name, digest, pushed), blobs):
            pass
        self._request("PUT", "/v2/%s/manifests/%s" % (name, tag), data,
                      {"Content-Type": manifest["mediaType"]}, accept=(201,))

    def _push_blob(self, name, digest, pushed):
        uploads = "/v2/%s/blobs/uploads/" % name
        if digest in pushed:
            if pushed[digest] == name:
                return
            query = "?mount=%s&from=%s" % (digest, pushed[digest])
            if self._request("POST", uploads + query, accept=(201, 202)).status == 201:
                return
        location = self._request("POST", uploads, accept=(202,)).getheader("Location")
        path = "/" + location.split("/", 3)[3] if "://" in location else location
        path += ("&" if "?" in path else "?") + "digest=" + digest
        self._request("PUT", path, read_blob(self.layout, digest),
                      {"Content-Type": "application/octet-stream"}, accept=(201,))
        pushed[digest] = name
