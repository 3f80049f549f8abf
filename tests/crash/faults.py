"""OCI runtime and CNI plugins that are killed on request, at most once for each request."""

import os
import stat

RUNTIME = """#!/bin/sh
# {real}, but killed where {fault} says: "SUBCOMMAND WHEN".
if read subcommand when 2> /dev/null < {fault}; then
  case " $* " in
    *" $subcommand "*)
      rm -f {fault}
      case $when in
        before) kill -9 $$ ;;
        after) {real} "$@"; kill -9 $$ ;;
      esac
      # Once the container's state is there (or, for those that take it away, has gone).
      id=
      for id; do :; done
      there={root}/$id/state.json
      test -e "$there"; before=$?
      {real} "$@" <&0 &
      while kill -0 $! 2> /dev/null; do
        test -e "$there"; now=$?
        [ $now = $before ] || break
      done
      kill -9 $! $$ ;;
  esac
fi
exec {real} "$@"
"""

CNI = """#!/bin/sh
# {real}, but killed where {fault} says: "PLUGIN COMMAND WHEN".
if read plugin command when 2> /dev/null < {fault} && [ "$plugin" = {name} ] &&
   [ "$command" = "$CNI_COMMAND" ]; then
  rm -f {fault}
  [ "$when" = before ] || {real}
  kill -9 $$
fi
exec {real}
"""


def _script(path, text):
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
    return path


def fault_file(bed):
    return os.path.join(bed.folder, "fault")


def wrap_runtime(bed, real):
    root = os.path.join(bed.engine.state, "plugins/runtime-runc/runtime")
    return _script(os.path.join(bed.folder, "runtime"),
                   RUNTIME.format(real=real, fault=fault_file(bed), root=root))


def wrap_cni(bed, real):
    folder = os.path.join(bed.folder, "cni-bin")
    os.mkdir(folder)
    for name in ("bridge", "host-local", "portmap", "loopback"):
        _script(os.path.join(folder, name), CNI.format(
            real=os.path.join(real, name), name=name, fault=fault_file(bed)))
    return folder


def request(bed, words):
    with open(fault_file(bed), "w", encoding="utf-8") as stream:
        stream.write(" ".join(words) + "\n")


def withdraw(bed):
    """Whether it was met; takes back what was not."""
    try:
        os.unlink(fault_file(bed))
        return False
    except FileNotFoundError:
        return True


# (operation, what is killed, when)
WHEN = ("before", "during", "after")
RUNTIME_FAULTS = [(operation, (subcommand, when))
                  for operation, subcommand in (
                      ("StartContainer", "run"), ("StartShortContainer", "run"),
                      ("ExecSync", "exec"), ("UpdateContainerResources", "update"),
                      ("RemoveContainer", "delete"), ("RemovePodSandbox", "delete"))
                  for when in WHEN]
# The bridge plugin takes its interface away before it has host-local release the address. When that
# fails, and it is called again, it finds no interface, and so no address to remove its
# masquerading for: the rules are lost to everyone (CNI plugins 1.1).
RULES_ARE_LOST = ("host-local", "DEL")
CNI_FAULTS = [(operation, (plugin, command, when))
              for operation, command in (("RunPodSandboxWithNetwork", "ADD"),
                                         ("StopPodSandbox", "DEL"), ("RemovePodSandbox", "DEL"))
              for plugin in ("bridge", "host-local", "portmap") for when in ("before", "after")]
