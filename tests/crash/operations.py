"""The operations that are cut off, those that take longest first."""

from container_operations import (
    CreateContainer, CreateContainerWithUserNamespace, ExecSync, ExitWhileNobodyLooks, LongExecSync,
    RemoveContainer, RemoveRunningContainer, StartContainer, StartContainerWithMappedVolume,
    StartShortContainer, StopContainer, UpdateContainerResources)
from node_operations import DaemonStart, PullImage, RemoveImage
from pod_operations import (
    RemovePodSandbox, RemoveStoppedPodSandbox, RunPodSandbox, RunPodSandboxSharingProcesses,
    RunPodSandboxWithNetwork, RunPodSandboxWithUserNamespace, StopPodSandbox)

OPERATIONS = [
    DaemonStart, RunPodSandboxWithNetwork, RunPodSandboxWithUserNamespace, CreateContainer,
    CreateContainerWithUserNamespace, RemovePodSandbox, StopPodSandbox, PullImage,
    RunPodSandboxSharingProcesses, RunPodSandbox, RemoveContainer, RemoveImage,
    StartContainerWithMappedVolume, StartContainer, StartShortContainer, RemoveRunningContainer,
    RemoveStoppedPodSandbox, StopContainer, ExecSync, LongExecSync, UpdateContainerResources,
    ExitWhileNobodyLooks]
