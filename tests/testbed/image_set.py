"""The images that the tests, the conformance suite and the demonstration use.

Each set is a function that adds named images to a Layout. References carry the source registry's
host; a loopback registry serves all hosts, each below a path prefix of its own (registry.py).
"""

import tarfile

import rootfs
import seekable
from oci_images import Image, Layer, sparse_layer

E2E = "registry.k8s.io/e2e-test-images/"
STAGING = "gcr.io/k8s-staging-cri-tools/"
TESTS = "images.berth.test/"

BUSYBOX = TESTS + "busybox:1"
NGINX = TESTS + "nginx:1"
# The pause image for engines that want one. It must not share its configuration with pause:3.9,
# which conformance tests remove by id.
ENGINE_PAUSE = TESTS + "engine-pause:1"

# What "platforms:1" has for it runs here all the same.
OTHER_ARCHITECTURE = "s390x"

SHELL = {"Env": [rootfs.PATH_VARIABLE], "Cmd": ["sh"]}


class Parts:
    """Layers that several images share, made once."""

    def __init__(self):
        self.busybox = rootfs.busybox_layer().bytes()
        self.tools = rootfs.tools_layer().bytes()
        self.pause = rootfs.compile_program("pause")

    def base(self, *more, compression="gzip"):
        return [(data, compression) for data in (self.busybox, self.tools, *more)]

    def shell_image(self, *more, config=None, compression="gzip", **rest):
        return Image(self.base(*more, compression=compression), {**SHELL, **(config or {})}, **rest)


def marker(name):
    """A layer with one file, so that images which are otherwise equal differ."""
    return Layer().file(name, "").bytes()


def pause_image(parts, label):
    layer = Layer().file("pause", parts.pause, 0o755).bytes()
    return Image([(layer, "gzip")], {"Entrypoint": ["/pause"], "Labels": {"berth.test": label},
                                     "Env": [rootfs.PATH_VARIABLE], "User": "65535:65535"})


def other_platform():
    """An image for a machine that this one is not: pulling it by mistake would show."""
    layer = Layer().file("wrong-platform", "").bytes()
    return Image([(layer, "gzip")], {"Cmd": ["/wrong-platform"]}, architecture="s390x")


def nginx_image(parts, port):
    return parts.shell_image(rootfs.nginx_layer(port).bytes(), config={
        "Entrypoint": ["nginx"], "Cmd": ["-g", "daemon off;"],
        "ExposedPorts": {"%d/tcp" % port: {}}, "StopSignal": "SIGQUIT"})


def add_conformance(layout, parts):
    """What critest pulls, under the names it uses."""
    busybox = layout.index([parts.shell_image(), other_platform()])
    layout.tag(E2E + "busybox:1.29-2", busybox)
    layout.tag(E2E + "nginx:1.14-2", layout.manifest(nginx_image(parts, 80)))
    layout.tag(STAGING + "hostnet-nginx-%s:latest" % Image([]).architecture,
               layout.manifest(nginx_image(parts, 12003)))
    layout.tag(E2E + "httpd:2.4.39-4", layout.manifest(parts.shell_image(
        rootfs.httpd_layer().bytes(), config={"Cmd": ["serve-httpd"]})))
    no_new_privileges = Layer().file(
        "nonewprivs", rootfs.compile_program("nonewprivs"), 0o4755).bytes()
    layout.tag(E2E + "nonewprivs:1.3", layout.manifest(
        parts.shell_image(no_new_privileges, config={"Entrypoint": ["/nonewprivs"], "Cmd": []})))
    # The same image in two registries: its configuration is nobody else's, since the tests
    # remove it by id.
    pause = layout.manifest(pause_image(parts, "pause"))
    layout.tag("registry.k8s.io/pause:3.9", pause)
    layout.tag("k8s.gcr.io/pause:3.9", pause)
    for name in ("1", "2", "3", "latest", "digest"):
        image = parts.shell_image(marker("test-image-" + name))
        layout.tag(STAGING + "test-image-%s:latest" % name, layout.manifest(image))
    for tag in ("test", "all"):
        layout.tag(STAGING + "test-image-tag:" + tag,
                   layout.manifest(parts.shell_image(marker(tag))))
    same = layout.manifest(parts.shell_image(marker("same-image")))
    for tag in ("1", "2", "3"):
        layout.tag(STAGING + "test-image-tags:" + tag, same)
    add_user_images(layout, parts)


def add_user_images(layout, parts):
    users = {"uid": "1002", "username": "www-data", "uid-group": "1003:1004",
             "username-group": "www-data:1004"}
    for name, user in users.items():
        layout.tag(STAGING + "test-image-user-%s:latest" % name,
                   layout.manifest(parts.shell_image(config={"User": user})))
    accounts = rootfs.add_accounts(
        Layer(), "default-user:x:1000:1000:Linux User,,,:/home/default-user:/bin/sh\n",
        "default-user:x:1000:\ngroup-defined-in-image:x:50000:default-user\n").bytes()
    layout.tag(STAGING + "test-image-predefined-group:latest",
               layout.manifest(parts.shell_image(accounts, config={"User": "1000"})))


def add_integration(layout, parts):
    """What the integration tests pull: one root file system in every form a registry may hold."""
    plain = layout.manifest(parts.shell_image())
    layout.tag(BUSYBOX, plain)
    layout.tag(TESTS + "busybox:latest", plain)
    layout.tag(NGINX, layout.manifest(nginx_image(parts, 80)))
    layout.tag(ENGINE_PAUSE, layout.manifest(pause_image(parts, "engine-pause")))
    for compression in ("zstd", "plain"):
        layout.tag(TESTS + "busybox-%s:1" % compression, layout.manifest(parts.shell_image(
            marker(compression), compression=compression)))
    add_seekable_images(layout, parts)
    schema2 = parts.shell_image(marker("schema2"), schema="docker")
    layout.tag(TESTS + "busybox-schema2:1", layout.manifest(schema2))
    layout.tag(TESTS + "busybox-schema2-list:1", layout.index([schema2], "docker"))
    layout.tag(TESTS + "busybox-index:1",
               layout.index([other_platform(), parts.shell_image(marker("index"))]))
    layout.tag(TESTS + "platforms:1", layout.index([
        parts.shell_image(marker(OTHER_ARCHITECTURE), architecture=OTHER_ARCHITECTURE),
        parts.shell_image(marker("own"))]))
    layout.tag(TESTS + "entrypoint:1", layout.manifest(parts.shell_image(config={
        "Entrypoint": ["/bin/echo", "entrypoint"], "Cmd": ["image-argument"],
        "Env": [rootfs.PATH_VARIABLE, "FROM_IMAGE=yes"], "WorkingDir": "/srv/work",
        "Labels": {"berth.test/label": "value"}, "StopSignal": "SIGUSR1"})))
    layout.tag(TESTS + "user:1", layout.manifest(parts.shell_image(config={"User": "www-data"})))
    layout.tag(TESTS + "stop-signal:1", layout.manifest(parts.shell_image(config={
        "StopSignal": "SIGUSR1"})))
    layout.tag(TESTS + "layers:1", layout.manifest(layers_image(parts)))
    layout.tag(TESTS + "one-layer:1", layout.manifest(parts.shell_image(every_kind().bytes())))
    layout.tag(TESTS + "data:1", layout.manifest(data_image()))
    layout.tag(TESTS + "artifact:1", layout.manifest(artifact()))
    layout.tag(TESTS + "volumes:1", layout.manifest(volumes_image(parts)))
    add_sparse_images(layout, parts)
    layout.tag(TESTS + "many-layers:1", layout.manifest(many_layers_image(parts, 140)))


def every_kind():
    """A layer with every kind of entry that one may hold."""
    return (Layer()
            .file("lower/hidden-file", "must vanish")
            .file("lower/kept-file", "kept")
            .file("lower/hidden-folder/child", "must vanish")
            .file("opaque/old", "must vanish")
            .file("replaced/was-folder/child", "must vanish")
            .file("hard/original", "linked")
            .hard_link("hard/second", "hard/original")
            .symbolic_link("symbolic/absolute", "/lower/kept-file")
            .symbolic_link("symbolic/dangling", "/nowhere")
            .file("modes/setuid", "", 0o4755)
            .file("modes/owned", "", 0o640, 1234, 5678)
            .directory("modes/sticky", 0o1777)
            .file("attributes/user", "", xattrs={"user.berth": b"value"})
            .file("attributes/capability", "", 0o755, xattrs={
                "security.capability": bytes.fromhex("0100000200200000000000000000000000000000")})
            .node("nodes/null", tarfile.CHRTYPE, 1, 3, 0o666)
            .node("nodes/loop", tarfile.BLKTYPE, 7, 0)
            .node("nodes/pipe", tarfile.FIFOTYPE)
            .file("names/" + "long-name-" * 20, "long")
            .file("names/sp ace-ümlaut", "odd"))


def layers_image(parts):
    """Such a layer below others that hide parts of it; all are compressed differently."""
    third = (Layer()
             .file("lower/again/child", "again")
             .file("hard/fresh", "fresh")
             .hard_link("hard/fresh-link", "hard/fresh"))
    second = (Layer()
              .whiteout("lower/hidden-file")
              .whiteout("lower/hidden-folder")
              .directory("opaque")
              .opaque("opaque")
              .file("opaque/new", "new")
              .whiteout("replaced/was-folder")
              .raw_file("replaced/was-folder", b"now a file"))
    return Image([*parts.base(), (every_kind().bytes(), "gzip"), (second.bytes(), "zstd"),
                  (third.bytes(), "plain")], dict(SHELL))


def data_image():
    """An image with nothing to run in it, for mounts of images."""
    lower = (Layer()
             .file("top", "top")
             .file("folder/file", "in the folder")
             .file("folder/deep/er", "deeper")
             .file("hidden", "must vanish")
             .file("owned", "", 0o640, 1234, 5678)
             .symbolic_link("inner", "folder/deep")
             .symbolic_link("absolute", "/folder/deep")
             .symbolic_link("outer", "../../../../../../../../etc")
             .symbolic_link("to-the-host", "/etc")
             .symbolic_link("dangling", "nowhere")
             .node("pipe", tarfile.FIFOTYPE))
    upper = Layer().whiteout("hidden").file("folder/upper", "upper")
    return Image([(lower.bytes(), "gzip"), (upper.bytes(), "zstd")])


def artifact():
    """A manifest whose configuration describes no image."""
    layer = Layer().file("model/weights", "numbers")
    return Image([(layer.bytes(), "gzip")], config_bytes=b"{}",
                 config_type="application/vnd.oci.empty.v1+json")


def volumes_image(parts):
    """Declares volumes: with content, without, written oddly, in the way of what others mount."""
    content = (Layer()
               .directory("data", 0o2750, 1000, 1001)
               .file("data/file", "from the image", 0o640, 1000, 1001)
               .hard_link("data/second", "data/file")
               .symbolic_link("data/link", "file")
               .file("data/deep/er", "deeper", xattrs={"user.berth": b"value"})
               .file("no-folder", "a file")
               .symbolic_link("linked", "data/deep"))
    volumes = ("/data/", "fresh//folder", "/no-folder", "/sys/fs/cgroup", "/dev/shm", "/proc", "/",
               "/pod/data", "/linked")
    return parts.shell_image(content.bytes(), config={
        "Volumes": {path: {} for path in volumes}, "User": "1000:1001"})


def add_seekable_images(layout, parts):
    """In forms that some clients read in part, and with layers that hold nothing or come twice."""
    layout.tag(TESTS + "busybox-estargz:1", layout.manifest(Image(
        [(seekable.with_table(data), "estargz") for data in (parts.busybox, parts.tools)],
        dict(SHELL))))
    layout.tag(TESTS + "busybox-zstd-chunked:1", layout.manifest(parts.shell_image(
        marker("zstd-chunked"), compression="zstd:chunked")))
    empty = Layer().bytes()
    layout.tag(TESTS + "busybox-empty-layers:1", layout.manifest(Image(
        [(empty, "gzip"), *parts.base(), (empty, "zstd"), (marker("twice"), "gzip"),
         (empty, "plain"), (marker("twice"), "zstd"), (b"", "gzip")], dict(SHELL))))


def add_sparse_images(layout, parts):
    """A file of 64 MiB that is nearly all holes, in GNU tar's own format and in POSIX's."""
    gnu = sparse_layer("sparse", "gnu", 64 << 20, {0: b"head", 32 << 20: b"middle"})
    posix = sparse_layer("sparse", "posix", 64 << 20, {0: b"head", 32 << 20: b"middle"})
    for name, layer in (("gnu", gnu), ("posix", posix)):
        layout.tag(TESTS + "sparse-%s:1" % name, layout.manifest(parts.shell_image(layer)))


def many_layers_image(parts, count):
    """More layers than fit in one page of mount options; each replaces the one file `top`."""
    layers = [(Layer().file("many/%d" % number, str(number)).file("top", str(number)).bytes(),
               "gzip") for number in range(count)]
    return Image([*parts.base(), *layers], dict(SHELL))
