"""An engine that pulls and runs only what has been signed as its policy says."""

import json
import os
import subprocess

import grpc

import signing
from asking import refused
from image_set import BUSYBOX

ACCEPT = [{"type": "insecureAcceptAnything"}]
REJECT = [{"type": "reject"}]
REFUSED = "SignatureValidationFailed: image "
# The kubelet compares the text of errors of this code alone.
UNKNOWN = grpc.StatusCode.UNKNOWN


class Signatures:
    """An engine with a policy, a registry of its own, and keys."""

    def __init__(self, bed, also):
        self.bed = bed
        self.folder = os.path.join(bed.folder, "signatures")
        os.makedirs(self.folder)
        self.registry = also.enter_context(signing.EmptyRegistry(self.folder))
        self.gpg = also.enter_context(signing.GpgHome(self.folder))
        self.signer = signing.Signer(self.registry, self.folder)
        self.policy = os.path.join(self.folder, "policy.json")
        self.good = self.gpg.make_key("good")
        self.other = self.gpg.make_key("other")
        self.key = signing.SigstoreKey(self.folder, "key")
        self.other_key = signing.SigstoreKey(self.folder, "other-key")
        self.write(ACCEPT)

    def settings(self):
        return "\n".join([
            "[images]", 'signature_policy = "%s"' % self.policy,
            '[sources.registry.options.registries."%s"]' % self.registry.host,
            'lookaside = "file://%s"' % self.signer.lookaside, ""])

    def write(self, requirements, **transports):
        """Requirements for the test's registry; anything else is accepted."""
        document = {"default": ACCEPT,
                    "transports": {"docker": {self.registry.host: requirements}, **transports}}
        with open(self.policy, "w", encoding="utf-8") as stream:
            json.dump(document, stream)

    def berth(self, *arguments):
        return subprocess.run(
            [os.path.join(self.bed.build, "bin/berth"), *arguments, "--config",
             os.path.join(self.bed.folder, "berth.toml")],
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60)

    def require(self, requirements, **transports):
        """The same, in force."""
        self.write(requirements, **transports)
        answer = self.berth("reload")
        assert answer.returncode == 0, answer.stderr

    def simple(self, *names, **more):
        paths = [self.gpg.export(name) for name in names or (self.good,)]
        return [{"type": "signedBy", "keyType": "GPGKeys", "keyPaths": paths, **more}]

    def sigstore(self, **more):
        return [{"type": "sigstoreSigned", "keyPath": self.key.public, **more}]

    def copy(self, name, *options):
        """Puts busybox there; gives its digest."""
        source = self.bed.registry.mirror(BUSYBOX.partition("/")[0]).replace("http", "docker", 1)
        return self.signer.copy(source + "/busybox:1", name, *options, gpg=self.gpg)

    def image(self, name):
        return "%s/%s" % (self.registry.host, name)

    def message(self, key, name, digest, when=None):
        return self.gpg.sign(key, signing.payload(self.image(name), digest, "atomic"), when)

    def attach(self, path, digest, name=None, key=None, signed=None, **more):
        """A sigstore signature for `name` ("path:tag") and the digest `signed`."""
        payload = signing.payload(self.image(name or path), signed or digest)
        self.registry.attach(path, digest, [(payload, (key or self.key).sign(payload))], **more)

    def refusal(self, name):
        message = refused(self.bed.cri.PullImage, {"image": {"image": self.image(name)}}, UNKNOWN)
        assert message.startswith(REFUSED + self.image(name)), message
        assert self.bed.cri.ImageStatus({"image": {"image": self.image(name)}}).image.id == ""
        return message
