"""The signature policy: which images are pulled and run, by whom they were signed."""

import contextlib
import json
import os
import subprocess

import grpc
import pytest

import berth_testbed
import signing
from asking import out, refused
from image_set import BUSYBOX
from oci_images import OCI, host_architecture, sha256
from signature_policy import ACCEPT, REFUSED, REJECT, UNKNOWN, Signatures
from test_containers import SLEEP

pytestmark = pytest.mark.berth
YEARS_AGO = "20200101T000000"


@pytest.fixture(scope="module")
def signatures():
    def prepare(bed):
        bed.signatures = Signatures(bed, bed.also)
        bed.settings = bed.signatures.settings()
        # The same images by another name, through a mirror.
        return {"mirrored.berth.test": [
            "http://127.0.0.1:%d" % berth_testbed.registry.free_port(),
            "http://" + bed.signatures.registry.host]}

    with berth_testbed.TestBed(more_mirrors=prepare) as bed:
        yield bed.signatures
    assert bed.leaks == []


@pytest.fixture(autouse=True)
def removed(signatures):
    yield
    bed = signatures.bed
    bed.remove_all_pods()
    for image in bed.cri.ListImages().images:
        bed.cri.RemoveImage({"image": {"image": image.id}})
    with contextlib.suppress(AssertionError):
        signatures.require(ACCEPT)


def runs(signatures, image, name):
    bed = signatures.bed
    container = bed.run(bed.run_pod(name), "app", image=image, command=SLEEP)
    return out(bed, container, "echo", "here") == "here\n"


# Simple signing.


def test_what_skopeo_has_signed_is_pulled_and_run(signatures, name):
    signed = signatures.copy("gpg:1", *signatures.signer.by_gpg(signatures.gpg, signatures.good))
    signatures.copy("gpg:unsigned")
    signatures.require(signatures.simple())
    assert runs(signatures, signatures.image("gpg:1"), name)
    # By digest any tag of the repository will do.
    assert signatures.bed.pull(signatures.image("gpg@" + signed))
    # What has the same content has the same signatures, but not for every name.
    message = signatures.refusal("gpg:unsigned")
    assert 'docker "%s", requirement 1 (signedBy)' % signatures.registry.host in message
    assert 'it is for the name "%s"' % signatures.image("gpg:1") in message
    # Other registries are none of this policy's business.
    assert signatures.bed.pull(BUSYBOX)


def test_without_a_signature_nothing_is_pulled(signatures):
    signatures.copy("bare:1")
    signatures.require(signatures.simple())
    assert "the image has no signature of that kind (simple signing)" in signatures.refusal("bare:1")
    signatures.require(signatures.sigstore())
    assert "the image has no signature of that kind (sigstore)" in signatures.refusal("bare:1")
    signatures.require(REJECT)
    assert "requirement 1 (reject): it rejects every image" in signatures.refusal("bare:1")


def test_signatures_that_do_not_count(signatures):
    digest = signatures.copy("wrong:1")
    signatures.require(signatures.simple())
    good = signatures.message(signatures.good, "wrong:1", digest)
    put = signatures.signer.put_aside
    tampered = bytearray(good)
    tampered[len(good) // 2] ^= 1
    elsewhere = "sha256:" + "0" * 64
    for signature, reason in (
            (signatures.message(signatures.other, "wrong:1", digest), "no key of the policy"),
            (signatures.message(signatures.good, "wrong:2", digest), "it is for the name"),
            (signatures.message(signatures.good, "wrong:1", elsewhere), "it is for another image"),
            (bytes(tampered), "signature 1: it is"),
            (signing.payload(signatures.image("wrong:1"), digest, "atomic"), "signature 1: it is"),
            (signatures.gpg.sign(signatures.good, b"{}"), "no member"),
            (signatures.gpg.gpg("--store", input=signing.payload(
                signatures.image("wrong:1"), digest, "atomic")), "0 signatures")):
        put("wrong", digest, signature)
        assert reason in signatures.refusal("wrong:1")
    # A good one beside them is enough.
    put("wrong", digest, bytes(tampered), good)
    assert signatures.bed.pull(signatures.image("wrong:1"))


def test_keys_that_have_ended(signatures):
    digest = signatures.copy("ended:1")
    expired = signatures.gpg.make_key("expired", "1d", when=YEARS_AGO)
    revoked = signatures.gpg.make_key("revoked")
    before = signatures.message(revoked, "ended:1", digest)
    signatures.require(signatures.simple(expired, revoked))
    signatures.signer.put_aside("ended", digest,
                                signatures.message(expired, "ended:1", digest, when=YEARS_AGO))
    assert "has expired" in signatures.refusal("ended:1")
    signatures.signer.put_aside("ended", digest, before)
    assert signatures.bed.pull(signatures.image("ended:1"))
    signatures.bed.cri.RemoveImage({"image": {"image": signatures.image("ended:1")}})
    signatures.gpg.revoke(revoked)
    signatures.require(signatures.simple(expired, revoked))
    assert "is revoked" in signatures.refusal("ended:1")


def test_no_process_and_no_keyring_stays(signatures):
    digest = signatures.copy("traces:1")
    signatures.signer.put_aside("traces", digest,
                                signatures.message(signatures.good, "traces:1", digest))
    signatures.require(signatures.simple())
    home = os.path.expanduser("~/.gnupg")
    before = os.path.exists(home)
    assert signatures.bed.pull(signatures.image("traces:1"))
    children = subprocess.run(["ps", "--ppid", str(signatures.bed.pid), "-o", "comm="],
                              capture_output=True, text=True, check=False).stdout
    assert "openpgp" not in children and "gpg" not in children
    assert os.path.exists(home) == before


# sigstore.


def test_attached_signatures(signatures, name):
    digest = signatures.copy("sigstore:1")
    signatures.require(signatures.sigstore())
    signatures.attach("sigstore", digest, "sigstore:1")
    assert runs(signatures, signatures.image("sigstore:1"), name)


def test_attachments_that_do_not_count(signatures):
    digest = signatures.copy("attached:1")
    signatures.require(signatures.sigstore())
    elsewhere = "sha256:" + "0" * 64
    for change, reason in (
            ({"key": signatures.other_key}, "no key of the policy"),
            ({"name": "attached:2"}, "it is for the name"),
            # cosign's payloads name the repository alone: the policy has to say that this will do.
            ({"name": "attached"}, "it is for the name"),
            ({"signed": elsewhere}, "it is for another image"),
            ({"layer": {"annotations": {}}}, "no signature of that kind"),
            ({"layer": {"mediaType": OCI + "layer.v1.tar"}}, "no signature of that kind"),
            ({"layer": {"annotations": {signing.ANNOTATION: "AAAA"}}}, "no key of the policy")):
        signatures.attach("attached", digest, **{"name": "attached:1", **change})
        assert reason in signatures.refusal("attached:1")
    # Signed, and then changed.
    payload = signing.payload(signatures.image("attached:1"), elsewhere)
    signatures.registry.attach("attached", digest, [
        (signing.payload(signatures.image("attached:1"), digest), signatures.key.sign(payload))])
    assert "no key of the policy" in signatures.refusal("attached:1")
    signatures.attach("attached", digest, "attached")
    signatures.require(signatures.sigstore(signedIdentity={"type": "matchRepository"}))
    assert signatures.bed.pull(signatures.image("attached:1"))


def test_a_signed_index(signatures):
    """cosign signs what a tag names, also when that is an index."""
    digest = signatures.copy("index:amd64")
    data, media_type = signatures.registry.manifest("index", digest)
    platform = {"os": "linux", "architecture": host_architecture()}
    index = json.dumps({"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": [
        {"mediaType": media_type, "digest": digest, "size": len(data), "platform": platform}]})
    signatures.registry.put_manifest("index", "1", index.encode(), OCI + "index.v1+json")
    signatures.require(signatures.sigstore())
    assert "no signature of that kind" in signatures.refusal("index:1")
    signatures.attach("index", sha256(index.encode()), "index:1")
    assert signatures.bed.pull(signatures.image("index:1"))


def test_through_a_mirror(signatures, name):
    """The mirror in front of it is away."""
    digest = signatures.copy("mirror/app:1")
    image = "mirrored.berth.test/mirror/app:1"
    scopes = {"docker": {"mirrored.berth.test": signatures.sigstore()}}
    signatures.require(ACCEPT, **scopes)
    # Whether the one that is away has a signature nobody knows.
    message = refused(signatures.bed.cri.PullImage, {"image": {"image": image}},
                      grpc.StatusCode.UNAVAILABLE)
    assert "get the signatures of " + image in message and "manifest unknown" in message
    # Signed by the name that the mirror has it by.
    signatures.attach("mirror/app", digest, "mirror/app:1")
    message = refused(signatures.bed.cri.PullImage, {"image": {"image": image}}, UNKNOWN)
    assert "it is for the name" in message
    remapped = signatures.sigstore(signedIdentity={
        "type": "remapIdentity", "prefix": "mirrored.berth.test",
        "signedPrefix": signatures.registry.host})
    signatures.require(ACCEPT, docker={"mirrored.berth.test": remapped})
    assert runs(signatures, image, name)


def test_what_is_imported_is_judged_by_where_the_file_lies(signatures, name):
    """Also when it is called like an image of a registry that is trusted."""
    bed = signatures.bed
    archive = os.path.join(signatures.folder, "app.tar")
    image = signatures.image("imported:1")
    signatures.copy("imported:1")
    subprocess.run(["skopeo", "--insecure-policy", "copy", "--src-tls-verify=false",
                    "docker://" + image, "oci-archive:%s:%s" % (archive, image)],
                   check=True, capture_output=True)
    signatures.require(ACCEPT, **{"oci-archive": {signatures.folder: REJECT}})
    answer = signatures.berth("image", "import", archive)
    assert answer.returncode == 1 and "it rejects every image" in answer.stderr
    assert not bed.cri.ListImages().images
    # What is nearer decides.
    signatures.require(REJECT, **{"oci-archive": {signatures.folder: REJECT, archive: ACCEPT}})
    answer = signatures.berth("image", "import", archive)
    assert answer.returncode == 0, answer.stderr
    assert runs(signatures, image, name)
    assert "it rejects every image" in refused(bed.cri.PullImage, {"image": {"image": image}},
                                               UNKNOWN)


# What is here already.


def test_a_policy_that_becomes_tighter_holds_for_images_that_are_here(signatures, name):
    bed = signatures.bed
    digest = signatures.copy("later:1")
    signatures.attach("later", digest, "later:1")
    image = signatures.image("later:1")
    assert bed.pull(image)
    pod = bed.run_pod(name)

    def create(container, **config):
        return bed.cri.CreateContainer({
            "pod_sandbox_id": pod, "sandbox_config": bed.pod_config(name),
            "config": bed.container_config(container, command=SLEEP, **config)}).container_id

    bed.cri.StartContainer({"container_id": create("before", image=image)})
    image_id = bed.cri.ImageStatus({"image": {"image": image}}).image.id
    by_id = {"image": image_id, "user_specified_image": image}
    # The signature that has come with the pull is good enough.
    signatures.require(signatures.sigstore())
    assert create("signed", image=image)
    for restart in (False, True):
        if restart:
            bed.stop_engine()
            bed.start_engine()
        for requirements, reason in (
                (REJECT, "it rejects every image"),
                (signatures.simple(), "no signature of that kind (simple signing)"),
                (signatures.sigstore(keyPath=signatures.other_key.public), "no key of the policy")):
            signatures.require(requirements)
            for config in ({"image": image}, {"image": image_id}):
                with pytest.raises(grpc.RpcError) as caught:
                    create("refused", **config)
                assert caught.value.code() == UNKNOWN
                assert caught.value.details().startswith(REFUSED + signatures.registry.host)
                assert reason in caught.value.details()
            request = {"pod_sandbox_id": pod, "sandbox_config": bed.pod_config(name),
                       "config": {**bed.container_config("by-id", command=SLEEP), "image": by_id}}
            assert reason in refused(bed.cri.CreateContainer, request, UNKNOWN)
        # What runs goes on.
        statuses = [c.state for c in bed.cri.ListContainers().containers
                    if c.metadata.name == "before"]
        assert statuses == [bed.cri.messages.CONTAINER_RUNNING]
    # After a restart they are still known.
    signatures.require(signatures.sigstore())
    assert create("again", image=image)


def test_images_that_are_mounted_are_judged_too(signatures, name):
    bed = signatures.bed
    signatures.copy("mounted:1")
    image = signatures.image("mounted:1")
    bed.pull(image)
    pod = bed.run_pod(name)
    mounts = [{"container_path": "/mounted", "image": {"image": image}, "readonly": True}]
    container = bed.run(pod, "mounts", command=SLEEP, mounts=mounts)
    assert out(bed, container, "ls", "/mounted/bin")
    signatures.require(REJECT)
    request = {"pod_sandbox_id": pod, "sandbox_config": bed.pod_config(name),
               "config": bed.container_config("refused", command=SLEEP, mounts=mounts)}
    message = refused(bed.cri.CreateContainer, request, UNKNOWN)
    assert message.startswith(REFUSED + image)


# The policy itself.


def test_a_policy_that_is_wrong_is_refused(signatures):
    bed = signatures.bed
    signatures.copy("kept:1")
    signatures.require(REJECT)
    for document, reason in (
            ("{", "policy.json: parse the policy"),
            ({}, "policy.json: default: is missing"),
            ({"default": ACCEPT, "comment": ""}, "policy.json: comment: is not known here"),
            ({"default": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/nonexistent"}]},
             "default[0].keyPath: open /nonexistent: No such file or directory"),
            ({"default": [{"type": "signedBy", "keyType": "GPGKeys",
                           "keyPath": signatures.key.public}]}, "it holds no OpenPGP keys"),
            ({"default": signatures.sigstore(keyPath=signatures.gpg.export(signatures.good))},
             "default[0].keyPath: it is no public key in PEM")):
        with open(signatures.policy, "w", encoding="utf-8") as stream:
            stream.write(document if isinstance(document, str) else json.dumps(document))
        for command in (["reload"], ["config", "check"]):
            answer = signatures.berth(*command)
            assert answer.returncode != 0
            assert "images.signature_policy: " in answer.stdout + answer.stderr
            assert reason in answer.stdout + answer.stderr
        # The one before is still in force.
        assert "it rejects every image" in signatures.refusal("kept:1")
    bed.stop_engine()
    with pytest.raises(RuntimeError, match="images.signature_policy: "):
        bed.start_engine()
    os.unlink(signatures.policy)
    with pytest.raises(RuntimeError, match="images.signature_policy: read the signature policy"):
        bed.start_engine()
    signatures.write(ACCEPT)
    bed.start_engine()


def test_a_reload_tells_that_the_policy_or_a_key_has_changed(signatures):
    def reload():
        answer = signatures.berth("reload")
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    def copy(path):
        with open(path, "rb") as source, open(key, "wb") as stream:
            stream.write(source.read())

    unchanged = "Nothing has changed.\n"
    anew = ("images.signature_policy: %s -> read anew, since it or a key of it has changed\n"
            % signatures.policy)
    key = os.path.join(signatures.folder, "changing-key")
    signatures.require(ACCEPT)
    for first, second, requirement in (
            (signatures.key.public, signatures.other_key.public, {"type": "sigstoreSigned"}),
            (signatures.gpg.export(signatures.good), signatures.gpg.export(signatures.other),
             {"type": "signedBy", "keyType": "GPGKeys"})):
        copy(first)
        signatures.write([{**requirement, "keyPath": key}])
        assert reload() == anew
        assert reload() == unchanged
        copy(second)
        assert reload() == anew
        assert reload() == unchanged
