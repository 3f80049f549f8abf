"""Container logs: the CRI format, long lines, streams, rotation."""

import os
import re

import pytest

from berth_testbed import wait_until

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}(Z|[+-]\d\d:\d\d)$")


def joined(lines, stream="stdout"):
    """The text that the log stands for: partial lines put together."""
    text = ""
    for _, source, tag, content in lines:
        if source == stream:
            text += content + ("\n" if tag == "F" else "")
    return text


def run_to_end(bed, pod, pod_name, script):
    container = bed.run(pod, "c", command=["sh", "-c", script])
    bed.wait_exit(container)
    return bed.log_lines(pod_name, "c")


def test_format(bed, pod, name):
    lines = run_to_end(bed, pod, name, "echo one; echo two >&2; printf '\\n  spaced  \\n'")
    assert all(TIME.match(line[0]) for line in lines), lines
    assert {line[1] for line in lines} == {"stdout", "stderr"}
    assert [line[3] for line in lines if line[1] == "stdout"] == ["one", "", "  spaced  "]
    assert [line[3] for line in lines if line[1] == "stderr"] == ["two"]
    assert {line[2] for line in lines} == {"F"}


def test_the_order_of_one_stream_is_kept(bed, pod, name):
    lines = run_to_end(bed, pod, name, "i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done")
    assert [line[3] for line in lines] == [str(number) for number in range(3000)]
    times = [line[0].rstrip("Z").ljust(len("2000-01-01T00:00:00.000000000"), "0") for line in lines]
    assert times == sorted(times)


@pytest.mark.parametrize("length", [16383, 16384, 16385, 100_000])
def test_long_lines_are_whole(bed, pod, name, length):
    script = "head -c %d /dev/zero | tr '\\0' y; echo; echo after" % length
    lines = run_to_end(bed, pod, name, script)
    assert joined(lines) == "y" * length + "\nafter\n"
    assert lines[-1][2:] == ("F", "after")
    if length > 16384:
        assert "P" in {line[2] for line in lines}
    assert max(len(line[3]) for line in lines) <= 16384


def test_a_line_without_an_end_is_logged(bed, pod, name):
    lines = run_to_end(bed, pod, name, "printf unfinished")
    assert joined(lines).rstrip("\n") == "unfinished"


def test_bytes_that_are_no_text(bed, pod, name):
    bed_lines = run_to_end(bed, pod, name, "printf 'a\\377\\001b\\n'")
    assert len(bed_lines) == 1
    path = os.path.join(bed.folder, "logs", name, "c.log")
    with open(path, "rb") as stream:
        assert stream.read().endswith(b" stdout F a\xff\x01b\n")


def test_rotation_loses_no_line(bed, pod, name):
    script = "i=0; while :; do echo $i; i=$((i+1)); done"
    container = bed.run(pod, "c", command=["sh", "-c", script])
    folder = os.path.join(bed.folder, "logs", name)
    current = os.path.join(folder, "c.log")
    for number in range(3):
        wait_until(lambda: os.path.exists(current) and os.path.getsize(current) > 100_000,
                   what="a grown log")
        os.rename(current, os.path.join(folder, "c.%d.log" % number))
        bed.cri.ReopenContainerLog({"container_id": container})
        assert os.path.exists(current), "reopening makes the new file before it answers"
    wait_until(lambda: os.path.getsize(current) > 0, what="a line in the new log")
    bed.cri.StopContainer({"container_id": container, "timeout": 0})
    lines = []
    for part in ("c.0", "c.1", "c.2", "c"):
        lines += bed.log_lines(name, part)
    numbers = [int(line[3]) for line in lines if line[2] == "F"]
    assert numbers[:-1] == list(range(len(numbers) - 1))


def test_no_log_path_means_no_log(bed, pod, name):
    container = bed.run(pod, "c", command=["echo", "lost"], log_path="")
    bed.wait_exit(container)
    assert not os.path.exists(os.path.join(bed.folder, "logs", name, "c.log"))


@pytest.mark.berth
def test_a_full_pipe_of_output_does_not_stop_the_exit(bed, pod, name):
    """A child that keeps stdout open after the first process has ended delays nobody."""
    script = "(trap '' HUP; sleep 1000) & echo done; exit 5"
    container = bed.run(pod, "c", command=["sh", "-c", script])
    assert bed.wait_exit(container, 10).exit_code == 5
    assert joined(bed.log_lines(name, "c")) == "done\n"


def test_tty_output(bed, pod, name):
    container = bed.run(pod, "c", tty=True, command=["sh", "-c", "tty; echo to-err >&2"])
    bed.wait_exit(container)
    lines = bed.log_lines(name, "c")
    assert [line[3].rstrip("\r") for line in lines] == ["/dev/pts/0", "to-err"]
    assert {line[1] for line in lines} == {"stdout"}
