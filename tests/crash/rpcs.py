"""Every call of the engine's services is cut off by some operation, or is excused here."""

import os
import re

from operations import OF_OTHERS, OPERATIONS

HERE = os.path.dirname(os.path.abspath(__file__))
API = os.path.join(os.path.dirname(os.path.dirname(HERE)), "core/api")

READS = "it only reads"
# Call → why no operation cuts it off.
EXCUSED = {
    **dict.fromkeys((
        "Admin/Configuration", "Admin/Timelines", "ImageService/ImageFsInfo",
        "ImageService/ImageStatus", "ImageService/ListImages", "ImageService/StreamImages",
        "Images/Export", "Images/Inspect", "RuntimeService/ContainerStats",
        "RuntimeService/ContainerStatus",
        "RuntimeService/ListContainerStats", "RuntimeService/ListContainers",
        "RuntimeService/ListMetricDescriptors", "RuntimeService/ListPodSandbox",
        "RuntimeService/ListPodSandboxMetrics", "RuntimeService/ListPodSandboxStats",
        "RuntimeService/PodSandboxStats", "RuntimeService/PodSandboxStatus",
        "RuntimeService/RuntimeConfig", "RuntimeService/Status",
        "RuntimeService/StreamContainerStats", "RuntimeService/StreamContainers",
        "RuntimeService/StreamPodSandboxMetrics", "RuntimeService/StreamPodSandboxStats",
        "RuntimeService/StreamPodSandboxes", "RuntimeService/Version"), READS),
    "Admin/Reload": "what it changes is the daemon's own, and is read anew at its start",
    "Images/Pull": "PullImage comes the same way",
    "RuntimeService/Attach": "it makes nothing",
    "RuntimeService/PortForward": "its connections are the daemon's own and go with it",
}


def all_calls():
    """Names as SERVICE/CALL, as the interfaces' files have them."""
    found = []
    for name in sorted(os.listdir(API)):
        if name.endswith(".proto"):
            with open(os.path.join(API, name), encoding="utf-8") as stream:
                service = ""
                for line in stream:
                    if match := re.match(r"\s*(service|rpc) (\w+)", line):
                        if match[1] == "service":
                            service = match[2]
                        else:
                            found.append("%s/%s" % (service, match[2]))
    return found


def problems(operations=(*OPERATIONS, *OF_OTHERS)):
    """Calls that nobody has decided on, and decisions on what is not so."""
    calls = all_calls()
    cut_off = {call for operation in operations for call in operation.calls}
    decided = cut_off | set(EXCUSED)
    return ["%s: no operation cuts it off, and it is not excused" % call for call in calls
            if call not in decided] + [
        "%s: it is excused, and an operation cuts it off" % call
        for call in sorted(cut_off & set(EXCUSED))] + [
        "%s: there is no such call" % call for call in sorted(decided - set(calls))]
