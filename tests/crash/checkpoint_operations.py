"""Checkpoints, and what is made of them; by a runtime that stands in for one with CRIU."""

import os
import shutil
import tarfile

from berth_testbed import wait_until
from operation import COUNTER, POD, Operation, check


def files_in(archive):
    with tarfile.open(archive) as opened:
        return opened.getnames()


class CheckpointContainer(Operation):
    """Into an archive, while the container goes on."""

    calls = ("RuntimeService/CheckpointContainer",)
    command = ("sh", "-c", "echo mine > /tmp/mine; rm /etc/passwd; " + COUNTER)

    def setup(self):
        self.folder = os.path.join(self.bed.folder, "checkpoints")
        self.close()
        os.mkdir(self.folder)
        self.archive = os.path.join(self.folder, "archive.tar")
        self.running()

    def act(self):
        self.checkpoint()

    def checkpoint(self):
        self.bed.cri.CheckpointContainer({"container_id": self.container,
                                          "location": self.archive})

    def finish(self):
        self.checkpoint()
        check("checkpoint/inventory.img" in files_in(self.archive), "the archive is not whole")
        wait_until(lambda: os.listdir(self.folder) == ["archive.tar"],
                   what="that nothing is beside the archive")
        self.check_goes_on()

    def close(self):
        shutil.rmtree(os.path.join(self.bed.folder, "checkpoints"), ignore_errors=True)


class CreateContainerFromCheckpoint(CheckpointContainer):
    """The archive is its image, as the kubelet has it."""

    calls = ()

    def setup(self):
        super().setup()
        self.checkpoint()
        self.bed.cri.StopContainer({"container_id": self.container, "timeout": 0})
        self.bed.cri.RemoveContainer({"container_id": self.container})
        self.image, self.command = self.archive, ()

    def act(self):
        self.create()

    def finish(self):
        self.have_container()
        self.start()
        check(self.state_is("RUNNING"), "the container does not run")


class StartRestoredContainer(CreateContainerFromCheckpoint):
    """One from an archive."""

    def setup(self):
        super().setup()
        self.create()

    def act(self):
        self.start()

    def finish(self):
        if self.state_is("CREATED"):
            self.start()
        check(self.state_is("RUNNING"), "the container does not run")


class CheckpointPod(CheckpointContainer):
    """Into an empty folder."""

    calls = ("RuntimeService/CheckpointPod",)
    command = ("sh", "-c", COUNTER)

    def act(self):
        self.bed.cri.CheckpointPod({"pod_sandbox_id": self.pod, "output_path": self.folder,
                                    "container_ids": [self.container]})

    def finish(self):
        # What was cut off is whole, or is not there; if the engine has ended, once it is back.
        wait_until(lambda: not os.listdir(self.folder) or self.is_whole(), what="one of both")
        if not self.is_whole():
            self.act()
        check(self.is_whole(), "the folder has %s" % os.listdir(self.folder))
        self.check_goes_on()


    def is_whole(self):
        names = os.listdir(self.folder)
        return len(names) == 3 and {"pod.options", "pod.dump"} < set(names)


class RestorePod(CheckpointPod):
    """A pod with its container, of which nothing was left."""

    calls = ("RuntimeService/RestorePod",)

    def setup(self):
        super().setup()
        super().act()
        self.bed.remove_pod(self.pod)

    def act(self):
        answer = self.bed.cri.RestorePod({
            "checkpoint_path": self.folder, "config": self.bed.pod_config(POD),
            "container_configs": [self.bed.container_config("c")]})
        self.pod = answer.pod_sandbox_id
        self.container = answer.restored_containers[0].container_id

    def finish(self):
        self.act()
        self.start()
        check(self.state_is("RUNNING"), "the container does not run")
        check(self.listed_pod().id == self.pod, "it is another pod")
