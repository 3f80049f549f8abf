"""A throw-away engine with a registry, a pod network and a CRI client around it.

    with TestBed() as bed:
        pod = bed.run_pod("web")
        container = bed.create(pod, "app", command=["sh", "-c", "echo hello"])
        bed.cri.StartContainer({"container_id": container})

Everything lives in one private folder, and on leaving everything is taken down; what the engine
itself left behind after its pods were removed is `bed.leaks`. The process must be in a private
network (host.enter_private_namespaces) so that nothing of the machine's own network is touched.
"""

import contextlib
import fcntl
import glob
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

import cri
import engines
import grpc
import host
import pod_cgroups
import registry
import sanitizers
from image_set import BUSYBOX
from pod_network import PodNetwork

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
START_SECONDS = 30
LONGEST_SOCKET_PATH = 60
PREFIX = "berth-test-"
POD_ID = re.compile("[0-9a-f]{64}")  # also of a container
OTHERS = re.compile(PREFIX + "|/berth-plugin-check-")  # who look after their own


def wait_until(condition, seconds=20, what="the condition"):
    """Asks again, a few milliseconds apart, until `condition()` is true; gives its value."""
    deadline = time.monotonic() + seconds
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError("%s did not come true within %g s" % (what, seconds))
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def remove_abandoned(parent):
    """Takes down what is left of test beds whose process was killed."""
    for lock in glob.glob(os.path.join(parent, PREFIX + "*", "owner")):
        folder = os.path.dirname(lock)
        with contextlib.suppress(BlockingIOError, FileNotFoundError), open(lock, "rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            name = os.path.basename(folder)
            host.kill(host.processes(folder, "%s=%s" % (host.MARK, name)))
            host.unmount_all(folder)
            pod_cgroups.remove_abandoned(name)
            shutil.rmtree(folder)


def _hold(path):
    """A lock that is held as long as this process lives, for remove_abandoned. It is there only once
    it is held: another process may look at any time."""
    lock = open(path + ".new", "wb")
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.rename(path + ".new", path)
    return lock


def _alone():
    """Whether nothing else makes pods on this machine meanwhile: what has any pod's name and is left
    can only be the test bed's."""
    return os.environ.get("CI") == "true" and not host.is_shard()


class TestBed:
    """One engine and what it needs. See the module's comment."""

    __test__ = False  # pytest: this is no test class

    def __init__(self, engine=None, build=None, runtime=None, cache=None, keep=False,
                 more_mirrors=None, settings="", wrapper=(), grpc_settings="", log_settings="",
                 shim=None, handler=None, first_settings="", plugin_dirs=()):
        """`runtime` is an OCI runtime's program, by default $BERTH_TEST_RUNTIME or else runc; the
        cgroup driver is $BERTH_TEST_CGROUP_DRIVER. `more_mirrors(bed)` is called once the registry
        serves, and gives further mirrors: source registry → URLs. What it enters into `bed.also` is
        closed with the bed. `settings` are further tables of Berth's configuration, in TOML, or a
        function that makes them of the bed, `first_settings` keys before all tables,
        `grpc_settings` and `log_settings` further lines of [grpc] and [log]. `plugin_dirs` are folders with more plugins. `wrapper` is a command that
        executes the daemon's. `shim` is a containerd shim v2 without virtual machines, for the
        handler "shim". Pods have the handler `handler`, by default $BERTH_TEST_HANDLER."""
        engine = engine or os.environ.get("BERTH_TEST_ENGINE", "berth")
        self.build = os.path.abspath(build or os.environ.get(
            "BERTH_BUILD", os.path.join(SOURCE, "build/release")))
        self.cache = cache or os.environ.get(
            "BERTH_TEST_CACHE", os.path.join(SOURCE, "build/testbed"))
        self.keep = keep
        self.runtime = engines.runtime_binary(
            runtime or os.environ.get("BERTH_TEST_RUNTIME", "runc"))
        self.first_settings = first_settings
        self.plugin_dirs = [os.path.join(self.build, "lib/berth/plugins"), *plugin_dirs]
        self.grpc_settings = grpc_settings
        self.log_settings = log_settings
        self.wrapper = list(wrapper)
        self.handler = handler or os.environ.get("BERTH_TEST_HANDLER", "")
        self.shim = shim or (engines.SHIM if self.handler == "shim" else None)
        registry.build_layout(self.cache)
        self.folder = self._private_folder()
        self._owner = _hold(os.path.join(self.folder, "owner"))
        self.mark = "%s=%s" % (host.MARK, os.path.basename(self.folder))
        self.cgroups = pod_cgroups.PodCgroups(os.path.basename(self.folder),
                                              pod_cgroups.driver_to_test())
        self.cgroup_parent = self.cgroups.parent
        self.network = PodNetwork(self.folder)
        self.registry = registry.Registry(self.cache, os.path.join(self.folder, "registry"))
        self.engine = engines.ENGINES[engine](self)
        self.cri = None
        self.leaks = []
        self.also = contextlib.ExitStack()
        self._more_mirrors = more_mirrors or (lambda _: {})
        self._extra_mirrors = {}
        self._pod_configs = {}
        self._process = None
        self._before = None
        self.settings = settings(self) if callable(settings) else settings

    @staticmethod
    def _private_folder():
        for parent in (tempfile.gettempdir(), "/tmp"):
            remove_abandoned(parent)
            folder = tempfile.mkdtemp(prefix=PREFIX, dir=parent)
            # Root of a user namespace is nobody here, and must get to its root filesystem.
            os.chmod(folder, 0o711)
            if len(folder) <= LONGEST_SOCKET_PATH:
                return os.path.realpath(folder)
            os.rmdir(folder)
        raise RuntimeError("/tmp is no place for sockets: its path is too long")

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()

    # The engine's life.

    def mirrors(self):
        """Source registry → mirror URLs, for the engine's configuration."""
        own = {name: [self.registry.mirror(name)] for name in self.registry.hosts}
        return {**own, **self._extra_mirrors}

    def start(self):
        self._before = (host.cgroups(), host.network_namespaces())
        self.registry.start()
        self._extra_mirrors = self._more_mirrors(self)
        self.start_engine()
        return self

    def start_engine(self):
        """Starts the daemon and returns when it answers."""
        environment = {**sanitizers.environment(self.folder), host.MARK: os.path.basename(self.folder)}
        with open(self.log_path, "ab") as log:
            self._process = subprocess.Popen(
                self.wrapper + self.engine.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment, cwd=self.folder)
        wait_until(self._listens, START_SECONDS, "the engine's socket")
        if self.cri:
            self.cri.close()  # its connection went with the daemon before
        self.cri = cri.CriClient(self.engine.socket, os.path.join(self.folder, "python"))
        wait_until(self._answers, START_SECONDS, "an answer from the engine")

    def _answers(self):
        self._must_live()
        try:
            return self.cri.Version(timeout=START_SECONDS).runtime_name
        except grpc.RpcError:
            return None  # containerd listens before it is ready

    def _listens(self):
        self._must_live()
        return host.listens(self.engine.socket)

    def _must_live(self):
        if self._process.poll() is not None:
            raise RuntimeError("%s ended with status %s while starting; its log ends:\n%s" % (
                self.engine.name, self._process.returncode, self.log_tail()))

    @property
    def log_path(self):
        return os.path.join(self.folder, "engine.log")

    def log_tail(self, lines=40):
        return "\n".join(host.read(self.log_path).splitlines()[-lines:])

    @property
    def pid(self):
        return self._process.pid

    def kill_engine(self):
        """kill -9; the socket file stays, as after a crash."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop_engine(self, seconds=20):
        """Asks the daemon to end; gives its exit status."""
        self._process.terminate()
        return self._process.wait(seconds)

    def alive(self):
        return self._process is not None and self._process.poll() is None

    # Pods and containers.

    def pod_config(self, name, **more):
        """A pod's configuration; `linux` is merged, everything else replaces."""
        linux = {"cgroup_parent": self.cgroup_parent, **more.pop("linux", {})}
        return {"metadata": {"name": name, "namespace": "default", "uid": "uid-" + name},
                "log_directory": os.path.join(self.folder, "logs", name), "linux": linux, **more}

    def run_pod(self, name, handler=None, **more):
        return self.run_pod_config(self.pod_config(name, **more), handler)

    def run_pod_config(self, config, handler=None):
        pod = self.cri.RunPodSandbox({
            "config": config,
            "runtime_handler": self.handler if handler is None else handler}).pod_sandbox_id
        self._pod_configs[pod] = config
        return pod

    def pull(self, image=BUSYBOX, **more):
        return self.cri.PullImage({"image": {"image": image}, **more}, timeout=120).image_ref

    def container_config(self, name, image=BUSYBOX, **more):
        return {"metadata": {"name": name}, "image": {"image": image}, "log_path": name + ".log",
                **more}

    def create(self, pod, name, **more):
        """Creates a container in a pod of run_pod; pulls its image when it is missing."""
        config = self.container_config(name, **more)
        image = config["image"]["image"]
        if not self.cri.ImageStatus({"image": {"image": image}}).image.id:
            self.pull(image)
        return self.cri.CreateContainer({
            "pod_sandbox_id": pod, "config": config, "sandbox_config": self._pod_configs[pod]}).container_id

    def run(self, pod, name, **more):
        """Creates and starts a container."""
        container = self.create(pod, name, **more)
        self.cri.StartContainer({"container_id": container})
        return container

    def exec(self, container, *command, timeout=10):
        """ExecSync's answer."""
        return self.cri.ExecSync({"container_id": container, "cmd": list(command),
                                  "timeout": timeout})

    def status(self, container):
        return self.cri.ContainerStatus({"container_id": container}).status

    def wait_exit(self, container, seconds=20):
        """The container's status once it has ended."""
        exited = self.cri.messages.CONTAINER_EXITED

        def ended():
            status = self.status(container)
            return status if status.state == exited else None
        return wait_until(ended, seconds, "the exit of container " + container)

    def log_lines(self, pod_name, container_name):
        """The container's log: (time, stream, tag, text) for each line."""
        path = os.path.join(self.folder, "logs", pod_name, container_name + ".log")
        return [tuple(line.split(" ", 3)) for line in host.read(path).splitlines()]

    def remove_pod(self, pod):
        self.cri.StopPodSandbox({"pod_sandbox_id": pod}, timeout=60)
        self.cri.RemovePodSandbox({"pod_sandbox_id": pod}, timeout=60)

    def remove_all_pods(self):
        for pod in self.cri.ListPodSandbox(timeout=20).items:
            self.remove_pod(pod.id)

    def crictl_command(self, *arguments):
        """The command line of the real crictl against the engine."""
        endpoint = "unix://" + self.engine.socket
        return [os.environ.get("BERTH_CRICTL", "crictl"), "--config", "/dev/null",
                "--runtime-endpoint", endpoint, "--image-endpoint", endpoint, "--timeout", "60s",
                *arguments]

    def crictl(self, *arguments, check=True, **more):
        """Runs the real crictl against the engine."""
        return subprocess.run(self.crictl_command(*arguments), check=check, text=True,
                              capture_output=True, stdin=subprocess.DEVNULL, **more)

    # The end.

    def _is_engine(self, pid, command):
        """The daemon, or one of the processes that it has for plugins."""
        if not self.alive():
            return False
        status = host.read("/proc/%d/status" % pid)
        ours = "\nPPid:\t%d\n" % self._process.pid in status
        return pid == self._process.pid or (
            ours and command.split()[0].endswith("/berth-plugin-host"))

    def find_leaks(self):
        """What the engine has left although no pod exists any more."""
        found = []
        for pid, command in host.processes(self.folder, self.mark).items():
            if not self._is_engine(pid, command) and command.split()[:1] != ["docker-registry"]:
                found.append("process %d: %s" % (pid, command))
        found += ["mount " + path for path in host.mounts(self.folder)]
        found += ["network device " + name for name in sorted(host.links() - self.network.bridges)]
        found += ["packet filter rule " + rule for rule in host.filter_rules(self.network.name)]
        found += ["address " + name for name in self.network.held_addresses()]
        found += ["network namespace " + name for name in sorted(self.new_network_namespaces())]
        found += ["cgroup " + path for path in sorted(self._new_cgroups())]
        return found

    def _new_cgroups(self):
        """Cgroups below the bed's own parent; in CI any pod's that is not others'."""
        new = host.cgroups() - self._before[0]
        pods = {path for path in new if POD_ID.search(path) and not OTHERS.search(path)}
        return self.cgroups.left(new) | (pods if _alone() else set())

    def new_network_namespaces(self):
        """Names that stand for a pod; any, where nobody else gives names: in CI, and in a shard."""
        new = host.network_namespaces() - self._before[1]
        return {name for name in new if _alone() or host.is_shard() or POD_ID.search(name)}

    def close(self):
        """Removes the pods, notes leaks, takes everything down. Safe to repeat."""
        if self.folder is None:
            return
        steps = [self._remove_pods_and_note_leaks, self._end_processes, self.also.close,
                 self.registry.stop,
                 lambda: host.unmount_all(self.folder), self.network.remove,
                 self._remove_cgroups, self._remove_folder]
        failures = []
        for step in steps:
            try:
                step()
            except Exception as error:  # every step must run; the failures are reported together
                failures.append(str(error))
        if failures:
            raise RuntimeError("the test bed could not be taken down: " + "; ".join(failures))

    def _remove_pods_and_note_leaks(self):
        if self._before is None or self._process is None:
            return
        if not self.alive():
            self.leaks.append("the engine was not running at the end")
            return
        try:
            self.remove_all_pods()
        except grpc.RpcError as error:
            self.leaks.append("pods could not be removed: %s" % error.details())
        self.leaks += self.find_leaks()

    def _end_processes(self):
        if self.cri:
            self.cri.close()
        if self.alive():
            try:
                self.stop_engine()
            except subprocess.TimeoutExpired:
                self.leaks.append("the engine did not end within 20 s of SIGTERM")
        left = host.processes(self.folder, self.mark).items()
        host.kill(pid for pid, command in left if command.split()[:1] != ["docker-registry"])
        if self._process:
            self._process.wait()
        self.leaks += sanitizers.reports(self.folder, self.log_path)

    def _remove_cgroups(self):
        if self._before:
            self.cgroups.remove(before=self._before[0])

    def _remove_folder(self):
        if self.keep:
            print("the test bed's folder stays: " + self.folder)
        else:
            shutil.rmtree(self.folder)
        self._owner.close()
        self.folder = None
