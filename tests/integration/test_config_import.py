"""`berth config import`: what it writes is taken, and pulls go where the other engine's went."""

import os

import grpc
import pytest

from image_set import BUSYBOX

pytestmark = pytest.mark.berth
REPOSITORY = BUSYBOX.partition("/")[2]


def imported(berth, form, path):
    made = berth("config", "import", "--from", form, str(path))
    assert made.returncode == 0, made.stderr
    return made.stdout


def accepted(berth, bed, tmp_path, text):
    """What `berth config check` says of it, as a file beside the engine's."""
    plugins = os.path.join(bed.build, "lib/berth/plugins")
    path = tmp_path / "checked.toml"
    path.write_text("plugin_dirs = [\"%s\"]\n%s" % (plugins, text))
    made = berth("config", "check", "--config", str(path))
    # Of this host something else may be missing.
    return [line for line in (made.stdout + made.stderr).splitlines() if "sources" in line]


@pytest.fixture
def registries_conf(bed, tmp_path):
    mirror = bed.registry.mirror(BUSYBOX.partition("/")[0]).partition("://")[2]
    path = tmp_path / "registries.conf"
    path.write_text("""
unqualified-search-registries = ["docker.io", "other.example"]
[[registry]]
location = "one.berth.test"
[[registry.mirror]]
location = "%s"
insecure = true
[[registry]]
prefix = "two.berth.test"
location = "%s"
insecure = true
[[registry]]
location = "blocked.berth.test"
blocked = true
[aliases]
"app" = "one.berth.test/app"
""" % (mirror, mirror))
    return path


@pytest.fixture
def certs_d(bed, tmp_path):
    folder = tmp_path / "certs.d"
    (folder / "three.berth.test").mkdir(parents=True)
    (folder / "three.berth.test" / "hosts.toml").write_text("""
server = "https://three.berth.test"
[host."http://127.0.0.1:%d/v2/%s"]
  capabilities = ["pull", "resolve"]
  override_path = true
""" % (bed.registry.port, BUSYBOX.partition("/")[0]))
    return folder


def test_what_is_written_is_accepted(bed, berth, tmp_path, registries_conf, certs_d):
    for form, path in (("registries.conf", registries_conf), ("hosts.toml", certs_d)):
        text = imported(berth, form, path)
        assert accepted(berth, bed, tmp_path, text) == []
        # The check does look at these options.
        wrong = text.replace("mirrors = ", "mirors = ")
        assert "mirors" in "".join(accepted(berth, bed, tmp_path, wrong))


def test_pulls_go_where_they_went(bed, berth, own_bed, registries_conf, certs_d):
    settings = imported(berth, "registries.conf", registries_conf)
    other = imported(berth, "hosts.toml", certs_d).partition("plugin = \"registry-v2\"\n")[2]
    engine = own_bed(settings=lambda _: drop_own_table(settings + other))
    for host in ("one", "two", "three"):
        assert engine.pull("%s.berth.test/%s" % (host, REPOSITORY)) == \
            bed.registry.config_digest(BUSYBOX)
    with pytest.raises(grpc.RpcError) as caught:
        engine.pull("blocked.berth.test/" + REPOSITORY)
    assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED
    assert "blocked.berth.test is blocked" in caught.value.details()


def drop_own_table(text):
    """The engine's configuration has one already."""
    return text.replace("[sources.registry]\nplugin = \"registry-v2\"\n", "")
