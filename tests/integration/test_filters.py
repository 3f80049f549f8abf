"""What a filter leaves of a list."""

import pytest

pytestmark = pytest.mark.berth


@pytest.fixture
def pods(bed, name):
    """Two pods, "a" and "b": each has a container of the same name and one that has ended."""
    made = {}
    for key in "ab":
        pod = bed.run_pod(name + key, labels={"key": key, "all": name})
        runs = bed.run(pod, key, command=["sleep", "1000"], labels={"key": key, "all": name})
        ended = bed.run(pod, key + "-ended", command=["true"], labels={"all": name})
        bed.wait_exit(ended)
        made[key] = (pod, runs, ended)
    return made


def test_of_containers(bed, name, pods):
    def listed(**selection):
        return {c.id for c in bed.cri.ListContainers({"filter": selection}).containers}
    both = {"label_selector": {"all": name}}
    assert listed(**both) == {pods[key][index] for key in "ab" for index in (1, 2)}
    assert listed(state={"state": "CONTAINER_EXITED"}, **both) == {pods[key][2] for key in "ab"}
    assert listed(state={"state": "CONTAINER_RUNNING"}, **both) == {pods[key][1] for key in "ab"}
    assert listed(state={"state": "CONTAINER_CREATED"}, **both) == set()
    assert listed(pod_sandbox_id=pods["a"][0]) == set(pods["a"][1:])
    assert listed(id=pods["a"][1], pod_sandbox_id=pods["b"][0]) == set()


def test_of_pods_statistics(bed, name, pods):
    def listed(**selection):
        return {stats.attributes.id
                for stats in bed.cri.ListPodSandboxStats({"filter": selection}).stats}
    assert listed(label_selector={"all": name}) == {pods["a"][0], pods["b"][0]}
    assert listed(label_selector={"all": name, "key": "b"}) == {pods["b"][0]}
    assert listed(id=pods["a"][0]) == {pods["a"][0]}
    assert listed(id=pods["a"][0], label_selector={"key": "b"}) == set()


def test_of_containers_statistics(bed, name, pods):
    def listed(**selection):
        return {stats.attributes.id
                for stats in bed.cri.ListContainerStats({"filter": selection}).stats}
    assert listed(label_selector={"key": "a", "all": name}) == {pods["a"][1]}
    assert listed(id=pods["b"][1]) == {pods["b"][1]}
    assert listed(id=pods["b"][1][:13]) == {pods["b"][1]}
    assert listed(id=pods["b"][1], pod_sandbox_id=pods["a"][0]) == set()
    assert pods["b"][1] in listed(pod_sandbox_id=pods["b"][0])
    assert listed(pod_sandbox_id=pods["b"][0]) <= set(pods["b"][1:])
