// What the monitor and its clients read of each other, of the OCI runtime, and of files.
#include "../../plugins/runtime-runc/protocol/exit_record.hpp"
#include "../../plugins/runtime-runc/protocol/messages.hpp"
#include "runtime_call.hpp"
#include "target.hpp"

namespace berth::fuzz {

using namespace runc::protocol;

namespace {

// What can be read can be written, and is then read as the same.
template <typename T>
void check(std::string_view fields) {
  T message;
  if (decodeFields(fields, message)) return;
  const std::string frame = encodeFrame({}, message);
  T again;
  Header header;
  std::string_view rest;
  demand(!decodeHeader(frame, header, rest), "a frame that is written has a header");
  demand(!decodeFields(rest, again), "a frame that is written can be read");
  demand(encodeFrame({}, again) == frame, "and is the same then");
}

void run(std::string_view input) {
  Header header;
  std::string_view fields;
  if (!decodeHeader(input, header, fields)) {
    check<StartRequest>(fields);
    check<StartReply>(fields);
    check<HelloRequest>(fields);
    check<HelloReply>(fields);
    check<CreateContainerRequest>(fields);
    check<ContainerRequest>(fields);
    check<StartContainerReply>(fields);
    check<KillContainerRequest>(fields);
    check<ExecRequest>(fields);
    check<ExecReply>(fields);
    check<WaitExecReply>(fields);
    check<AttachRequest>(fields);
    check<ListReply>(fields);
    check<ContainerExitedEvent>(fields);
  }
  ContainerStatus status;
  if (parseExitRecord(input, status)) {
    ContainerStatus again;
    demand(parseExitRecord(formatExitRecord(status), again), "an exit that is written can be read");
  }
  demand(runc::monitor::lastErrorIn(input).size() <= 2048, "a runtime's error is bounded");
}

std::vector<std::string> seeds() {
  StartRequest start;
  start.podId = "pod";
  start.runDir = "/run/pod";
  start.sysctls = {{"net.a", "1"}};
  start.net = NamespaceMode::kNew;
  start.uidMappings = {{0, 100000, 65536}};
  start.runtimeArgs = {"--systemd-cgroup"};
  ExecRequest exec;
  exec.containerId = "c";
  exec.execId = "e";
  exec.timeoutMs = 1000;
  ContainerStatus status;
  status.containerId = "c";
  status.exitCode = 137;
  status.finishedAt = 1;
  ListReply list;
  list.containers = {status, status};
  return {encodeFrame({Type::kStartMonitor, 0, 0}, start),
          encodeFrame({Type::kExec, 0, 7}, exec),
          encodeFrame({Type::kList, kReply, 8}, list),
          formatExitRecord(status),
          R"({"level":"error","msg":"a\n\u00e4\ud83d\ude00","time":"t"})",
          "no such flag\n"};
}

}  // namespace

const Target kMonitor{run, seeds};

}  // namespace berth::fuzz
