"""tests/vm/accelerator.py: KVM only where it boots the kernel, and asked once for an image."""

import os
import sys

import pytest

from conftest import path_of

sys.path.insert(0, path_of("tests/vm"))

import accelerator  # noqa: E402  (needs the path above)

# What QEMU does with -accel kvm: the kernel comes to its end, its console stays empty, QEMU gives
# up at once, or nothing happens.
BOOTS = 'echo "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"'
NOTHING_SAID, GIVES_UP, HANGS = "true", "echo 'failed to set MSR 0x10a'; exit 134", "exec sleep 60"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The image's. folder.qemu(SCRIPT) is what stands for QEMU; folder.runs() how often it ran."""
    class Folder:
        device = str(tmp_path / "device")
        path = str(tmp_path)

        @staticmethod
        def qemu(script):
            program = tmp_path / accelerator.QEMU
            program.write_text("#!/bin/sh\necho run >> %s/runs\n%s\n" % (tmp_path, script))
            program.chmod(0o755)

        @staticmethod
        def runs():
            runs = tmp_path / "runs"
            return len(runs.read_text().splitlines()) if runs.exists() else 0

        def choose(self):
            return accelerator.choose(self.path, self.device)
    (tmp_path / "device").touch()
    (tmp_path / "recipe").write_text("the first\n")
    monkeypatch.setenv("PATH", "%s:%s" % (tmp_path, os.environ["PATH"]))
    monkeypatch.delenv("BERTH_VM_ACCEL", raising=False)
    monkeypatch.setattr(accelerator, "SECONDS", 1)
    return Folder()


@pytest.mark.parametrize("script,chosen", [
    (BOOTS, "kvm"), (NOTHING_SAID, accelerator.EMULATED), (GIVES_UP, accelerator.EMULATED),
    (HANGS, accelerator.EMULATED)], ids=["boots", "says nothing", "gives up", "hangs"])
def test_kvm_is_taken_where_it_boots_the_kernel(folder, capsys, script, chosen):
    folder.qemu(script)
    assert folder.choose() == folder.choose() == chosen
    assert folder.runs() == 1, "it is remembered"
    assert capsys.readouterr().err.count("with -accel %s: " % chosen) == 2


def test_another_image_is_asked_anew(folder):
    folder.qemu(GIVES_UP)
    assert folder.choose() == accelerator.EMULATED
    folder.qemu(BOOTS)
    with open(os.path.join(folder.path, "recipe"), "w", encoding="utf-8") as stream:
        stream.write("the second\n")
    assert folder.choose() == "kvm"


def test_without_a_device_nothing_is_run(folder):
    folder.qemu(BOOTS)
    os.remove(folder.device)
    assert folder.choose() == accelerator.EMULATED
    assert folder.runs() == 0


def test_who_names_an_accelerator_gets_it(folder, monkeypatch):
    folder.qemu(GIVES_UP)
    monkeypatch.setenv("BERTH_VM_ACCEL", "kvm")
    assert folder.choose() == "kvm"
    assert folder.runs() == 0
