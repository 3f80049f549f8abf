"""Restarts of the machine: what is agreed on before them and looked at after them."""

from node import status_of

# What a unit is given to end, in place of the 90 s that systemd gives. Of an emulated processor.
PATIENCE = 30
# A container's program that does not end when it is asked to.
STUBBORN = "trap '' TERM; while true; do date +%s; sleep 1; done"
# How the daemon ended; written by its unit.
ENDED = "/var/berth-vm/daemon-ended"
# When tests/vm/guest asked for the restart.
BEGUN = "/var/berth-vm/restart-begun"
# Of a container whose end no daemon saw, and of one that ended when it was asked to.
UNSEEN = (137, "Error", "the node was restarted")
ENDED_WELL = (0, "Completed", "")


def end_of(pod):
    """What is told of the end of its container."""
    status = status_of(pod["container"])
    return status["exitCode"], status["reason"], status["message"]
