"""The operations that are cut off, those that take longest first."""

from checkpoint_operations import (
    CheckpointContainer, CheckpointPod, CreateContainerFromCheckpoint, RestorePod,
    StartRestoredContainer)
from container_operations import (
    CreateContainer, CreateContainerOfLayers, CreateContainerWithUserNamespace, ExecSync,
    ExitWhileNobodyLooks, LongExecSync, RemoveContainer, RemoveRunningContainer, StartContainer,
    StartContainerWithMappedVolume, StartShortContainer, StopContainer, UpdateContainerResources,
    UpdateCreatedContainerResources)
from event_operations import (
    LoseMonitor, RemovePodWithoutMonitor, RemoveWhileSomebodyListens, StartMissingProgram)
from node_operations import DaemonStart, PullImage, RemoveImage
from pod_operations import (
    AbandonNetwork, RemovePodSandbox, RemoveStoppedPodSandbox, RunPodSandbox,
    RunPodSandboxSharingProcesses, RunPodSandboxWithNetwork, RunPodSandboxWithUserNamespace,
    StopPodSandbox)
from recovery_operations import HALVES
from stream_operations import ExecStream, ExecTerminal
from upkeep_operations import (
    ImportImage, PinImage, ReloadPlugin, ReopenContainerLog, RepairStorage,
    UpdatePodSandboxResources, UpdateRuntimeConfig)

OPERATIONS = [
    DaemonStart, *HALVES, RepairStorage, RestorePod, CheckpointPod, StartRestoredContainer,
    CreateContainerFromCheckpoint, CheckpointContainer, ReloadPlugin, ImportImage,
    RunPodSandboxWithNetwork, RunPodSandboxWithUserNamespace, CreateContainer,
    CreateContainerWithUserNamespace, CreateContainerOfLayers, RemovePodSandbox, StopPodSandbox,
    AbandonNetwork, PullImage, RunPodSandboxSharingProcesses, RunPodSandbox, RemoveContainer,
    RemoveImage, StartContainerWithMappedVolume, StartContainer, StartShortContainer,
    RemoveRunningContainer, RemoveStoppedPodSandbox, StopContainer, ExecSync, LongExecSync,
    UpdateContainerResources, UpdateCreatedContainerResources, ExitWhileNobodyLooks,
    LoseMonitor, RemovePodWithoutMonitor, RemoveWhileSomebodyListens, StartMissingProgram,
    ExecTerminal, ExecStream, UpdatePodSandboxResources, UpdateRuntimeConfig, PinImage]
# In which the daemon itself makes no durable step.
OF_OTHERS = [ReopenContainerLog]
