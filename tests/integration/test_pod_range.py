"""The node's pod range, which the kubelet tells by UpdateRuntimeConfig."""

import ipaddress
import os

import pytest

import engines
import grpc
from asking import refused, shell
from test_containers import SLEEP
from test_pods import pod_status

BAD = grpc.StatusCode.INVALID_ARGUMENT
RANGES = ("10.203.7.0/24", "fd00:203:7::/64")
# What an operator writes who lets the kubelet say where a node's pods are.
TEMPLATE = """{
  "cniVersion": "1.0.0", "name": "%(name)s",
  "plugins": [
    {"type": "bridge", "bridge": "%(bridge)s", "isGateway": true,
     "ipam": {"type": "host-local", "dataDir": "%(addresses)s",
      "ranges": [{{range $i, $range := .PodCIDRRanges}}{{if $i}},
        {{end}}[{"subnet": "{{$range}}"}]{{end}}],
      "routes": [{{range $i, $route := .Routes}}{{if $i}}, {{end}}{"dst": "{{$route}}"}{{end}}]}}]}
"""

pytestmark = pytest.mark.berth


def with_template(bed):
    template = engines.write(os.path.join(bed.folder, "template"), TEMPLATE % vars(bed.network))
    bed.network.settings = "template = " + engines.toml(template)
    bed.start_engine()
    return bed


@pytest.fixture
def bed(own_bed):
    """An engine whose network is not known yet."""
    bed = own_bed()
    bed.stop_engine()
    os.unlink(bed.network.conf_file)
    return with_template(bed)


def network_condition(bed):
    return next(c for c in bed.cri.Status().status.conditions if c.type == "NetworkReady")


def tell(bed, *ranges):
    bed.cri.UpdateRuntimeConfig(
        {"runtime_config": {"network_config": {"pod_cidr": ",".join(ranges)}}})


def addresses(bed, pod):
    network = pod_status(bed, pod).network
    return [network.ip, *(one.ip for one in network.additional_ips)]


def assert_in_ranges(found):
    assert len(found) == len(RANGES), found
    for address, subnet in zip(found, RANGES):
        assert ipaddress.ip_address(address) in ipaddress.ip_network(subnet)


def test_pods_get_addresses_of_the_range_that_the_kubelet_tells(bed):
    condition = network_condition(bed)
    assert not condition.status and bed.network.conf_folder in condition.message
    # A kubelet that does not know the range yet, and one that is wrong, change nothing.
    tell(bed)
    refused(lambda ranges: tell(bed, *ranges), ("10.203.7.0/33",), BAD)
    assert not network_condition(bed).status
    assert os.listdir(bed.network.conf_folder) == []

    tell(bed, *RANGES)
    assert network_condition(bed).status
    pod = bed.run_pod("a")
    assert_in_ranges(addresses(bed, pod))
    container = bed.run(pod, "c", command=SLEEP)
    devices = shell(bed, container, "ip addr show dev eth0")
    for address in addresses(bed, pod):
        assert address + "/" in devices
    routes = shell(bed, container, "ip route; ip -6 route")
    assert routes.count("default via") == len(RANGES)

    # The kubelet tells it again after each start of either; the pods of before are still attached.
    tell(bed, *RANGES)
    bed.kill_engine()
    bed.start_engine()
    assert network_condition(bed).status
    tell(bed, *RANGES)
    assert_in_ranges(addresses(bed, pod))
    second = bed.run_pod("b")
    assert_in_ranges(addresses(bed, second))
    assert not set(addresses(bed, second)) & set(addresses(bed, pod))
    bed.remove_pod(pod)
    held = {name for name in bed.network.held_addresses() if name.startswith("10.")}
    assert held == {addresses(bed, second)[0]}


def test_a_network_that_is_there_is_not_replaced(own_bed):
    bed = own_bed()
    bed.stop_engine()
    with open(bed.network.conf_file, encoding="utf-8") as file:
        before = file.read()
    with_template(bed)
    tell(bed, *RANGES)
    assert os.listdir(bed.network.conf_folder) == [os.path.basename(bed.network.conf_file)]
    with open(bed.network.conf_file, encoding="utf-8") as file:
        assert file.read() == before
    address = ipaddress.ip_address(addresses(bed, bed.run_pod("a"))[0])
    assert not any(address in ipaddress.ip_network(subnet) for subnet in RANGES)
