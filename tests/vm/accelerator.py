"""What runs the virtual machine's processors: KVM where it boots the kernel, else an emulator."""

import ctypes
import os
import signal
import subprocess
import sys

QEMU = "qemu-system-x86_64"
EMULATED = "tcg,thread=multi"
# How long a kernel may take until it misses its root file system; with KVM that is a second or two.
SECONDS = 10
NO_ROOT = "Unable to mount root fs"
PR_SET_PDEATHSIG = 1

libc = ctypes.CDLL("libc.so.6", use_errno=True)


def end_with_parent():
    """For a child before it executes its program."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def processors(accelerator):
    """Arguments of QEMU's."""
    # Five levels of page tables cost an emulated processor much for nothing.
    return ["-machine", "q35", "-accel", accelerator, "-cpu", "max,la57=off", "-smp", "2"]


def read(path):
    with open(path, encoding="utf-8") as stream:
        return stream.read().strip()


def boots(folder):
    """Whether KVM runs the kernel in the folder: some machines have its device, and no more."""
    command = [QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
               *processors("kvm"), "-m", "512", "-kernel", os.path.join(folder, "vmlinuz"),
               "-append", "console=ttyS0 panic=-1", "-serial", "stdio"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
                              timeout=SECONDS, preexec_fn=end_with_parent)
    except subprocess.TimeoutExpired:
        return False
    return NO_ROOT in done.stdout


def choose(folder, device="/dev/kvm"):
    """For the machine whose kernel is in the folder; says which. $BERTH_VM_ACCEL has it otherwise.
    What was found out holds for this image until the host boots anew."""
    given = os.environ.get("BERTH_VM_ACCEL")
    if given:
        return given
    if not os.access(device, os.R_OK | os.W_OK):
        return say(EMULATED, "%s is not there, or not for this user" % device)
    known = os.path.join(folder, "kvm")
    asked = "%s %s" % (read("/proc/sys/kernel/random/boot_id"),
                       read(os.path.join(folder, "recipe")))
    if not os.path.exists(known) or not read(known).startswith(asked + " "):
        answer = "boots" if boots(folder) else "fails"
        with open(known + ".new", "w", encoding="utf-8") as stream:
            stream.write("%s %s\n" % (asked, answer))
        os.replace(known + ".new", known)
    if read(known).endswith(" boots"):
        return say("kvm", "KVM boots the kernel")
    return say(EMULATED, "KVM does not boot the kernel (%s)" % known)


def say(accelerator, why):
    print("tests/vm/run: with -accel %s: %s" % (accelerator, why), file=sys.stderr)
    return accelerator
