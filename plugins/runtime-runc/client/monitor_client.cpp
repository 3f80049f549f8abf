#include "monitor_client.hpp"

#include <atomic>
#include <fcntl.h>
#include <unistd.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "connection.hpp"
#include "status_of.hpp"

namespace berth::runc {

using protocol::Type;

namespace {

// Of a runtime that is killed, or of what it left in the container's cgroup.
constexpr auto kCancelTime = std::chrono::seconds(10);

template <typename Reply>
absl::Status decodeReply(const std::string& frame, Reply& reply) {
  protocol::Header header;
  std::string_view fields;
  protocol::DecodeError error = protocol::decodeHeader(frame, header, fields);
  if (!error) error = protocol::decodeFields(fields, reply);
  if (error) {
    return absl::InternalError(
        absl::StrCat("the monitor's reply is malformed: field ", error.tag, ": ", error.what));
  }
  return statusOf(reply.result);
}

uint8_t maskOf(const Streams& streams) {
  return static_cast<uint8_t>((streams.standardInput >= 0 ? protocol::kStdin : 0) |
                              (streams.standardOutput >= 0 ? protocol::kStdout : 0) |
                              (streams.standardError >= 0 ? protocol::kStderr : 0));
}

// Calls for one reply frame.
template <typename Reply, typename Connection, typename Request>
absl::StatusOr<Reply> callOne(Connection& connection, Type type, const Request& request,
                              const Streams& streams, const CallLimits& limits) {
  BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> frames,
                         connection.call(type, request, streams, limits));
  Reply reply;
  BERTH_RETURN_IF_ERROR(decodeReply(frames.front(), reply));
  return reply;
}

template <typename Connection, typename Request>
absl::Status callPlain(Connection& connection, Type type, const Request& request,
                       const CallLimits& limits, const Streams& streams = {}) {
  return callOne<protocol::PlainReply>(connection, type, request, streams, limits).status();
}

template <typename Connection>
absl::StatusOr<MonitorClient::Listing> callListing(Connection& connection, Type type,
                                                   const CallLimits& limits) {
  BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> frames,
                         connection.call(type, protocol::Empty{}, Streams{}, limits));
  MonitorClient::Listing listing;
  for (const std::string& frame : frames) {
    protocol::ListReply reply;
    BERTH_RETURN_IF_ERROR(decodeReply(frame, reply));
    for (auto& container : reply.containers) listing.containers.push_back(std::move(container));
    for (auto& exec : reply.execs) listing.execs.push_back(std::move(exec));
  }
  return listing;
}

// The runtime reads process.json from a file; the monitor removes it.
absl::StatusOr<std::string> writeProcess(const std::string& runDir, std::string_view json) {
  static std::atomic<uint64_t> serial = 0;
  std::string path = absl::StrCat(runDir, "/process-", getpid(), "-", ++serial, ".json");
  BERTH_ASSIGN_OR_RETURN(const support::Fd file,
                         support::openFile(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (absl::Status status = support::writeAll(file.get(), json); !status.ok()) {
    support::removePath(path).IgnoreError();
    return support::annotate(status, path);
  }
  return path;
}

}  // namespace

MonitorClient::MonitorClient(std::shared_ptr<Connection> connection)
    : connection_(std::move(connection)) {}

MonitorClient::~MonitorClient() {
  connection_->close();
}

absl::StatusOr<std::unique_ptr<MonitorClient>> MonitorClient::connect(const std::string& runDir,
                                                                      EventHandler handler,
                                                                      const CallLimits& limits) {
  BERTH_ASSIGN_OR_RETURN(std::shared_ptr<Connection> connection,
                         Connection::open(runDir, std::move(handler)));
  std::unique_ptr<MonitorClient> client(new MonitorClient(connection));
  BERTH_ASSIGN_OR_RETURN(protocol::HelloReply hello,
                         callOne<protocol::HelloReply>(*connection, Type::kHello,
                                                       protocol::HelloRequest{}, {}, limits));
  BERTH_RETURN_IF_ERROR(connection->setHello(std::move(hello)));
  return client;
}

const protocol::PodFacts& MonitorClient::facts() const {
  return connection_->hello().facts;
}
uint32_t MonitorClient::protocolVersion() const {
  return connection_->hello().version;
}

absl::Status MonitorClient::createContainer(const protocol::CreateContainerRequest& request,
                                            const CallLimits& limits) {
  return callPlain(*connection_, Type::kCreateContainer, request, limits);
}

absl::StatusOr<protocol::StartContainerReply> MonitorClient::startContainer(
    const std::string& containerId, const CallLimits& limits) {
  return callOne<protocol::StartContainerReply>(
      *connection_, Type::kStartContainer, protocol::ContainerRequest{containerId}, {}, limits);
}

absl::StatusOr<protocol::StartContainerReply> MonitorClient::restoreContainer(
    const protocol::RestoreContainerRequest& request, const CallLimits& limits) {
  return callOne<protocol::StartContainerReply>(*connection_, Type::kRestoreContainer, request, {},
                                                limits);
}

absl::Status MonitorClient::checkpointContainer(const protocol::CheckpointContainerRequest& request,
                                                const CallLimits& limits) {
  return callPlain(*connection_, Type::kCheckpointContainer, request, limits);
}

absl::Status MonitorClient::cancelCheckpoint(const std::string& containerId,
                                             const CallLimits& limits) {
  return callPlain(*connection_, Type::kCancelCheckpoint, protocol::ContainerRequest{containerId},
                   limits);
}

absl::Status MonitorClient::killContainer(const std::string& containerId, int signal,
                                          protocol::KillScope scope, const CallLimits& limits) {
  return callPlain(*connection_, Type::kKillContainer,
                   protocol::KillContainerRequest{containerId, signal, scope}, limits);
}

absl::Status MonitorClient::deleteContainer(const std::string& containerId,
                                            const CallLimits& limits) {
  const absl::Status status = callPlain(*connection_, Type::kDeleteContainer,
                                        protocol::ContainerRequest{containerId}, limits);
  if (!absl::IsCancelled(status) && !absl::IsDeadlineExceeded(status)) return status;
  support::StatusCollector failures;
  failures.add(status);
  failures.add(cancelDelete(containerId));
  return failures.status();
}

absl::Status MonitorClient::cancelDelete(const std::string& containerId) {
  const absl::Status status =
      callPlain(*connection_, Type::kCancelDelete, protocol::ContainerRequest{containerId},
                support::limitsFor(kCancelTime));
  if (absl::IsUnimplemented(status)) return absl::OkStatus();
  return support::annotate(status, absl::StrCat("end the runtime that deletes ", containerId));
}

absl::StatusOr<int32_t> MonitorClient::exec(const ExecOptions& options, const Streams& streams,
                                            const CallLimits& limits) {
  protocol::ExecRequest request;
  request.containerId = options.containerId;
  request.execId = options.execId;
  request.terminal = options.terminal ? 1 : 0;
  request.consoleWidth = options.consoleWidth;
  request.consoleHeight = options.consoleHeight;
  request.timeoutMs = static_cast<uint64_t>(options.timeout.count());
  request.onDisconnect = options.onDisconnect;
  request.descriptors = maskOf(streams);
  BERTH_ASSIGN_OR_RETURN(request.processPath,
                         writeProcess(connection_->runDir(), options.processJson));
  const absl::StatusOr<protocol::ExecReply> reply =
      callOne<protocol::ExecReply>(*connection_, Type::kExec, request, streams, limits);
  if (!reply.ok()) {
    // A refused request leaves it here. A runtime that is still at work reads it early or not.
    support::removePath(request.processPath).IgnoreError();
    return reply.status();
  }
  return reply->pid;
}

absl::StatusOr<protocol::ExecStatus> MonitorClient::waitExec(const std::string& containerId,
                                                             const std::string& execId,
                                                             const CallLimits& limits) {
  BERTH_ASSIGN_OR_RETURN(
      protocol::WaitExecReply reply,
      callOne<protocol::WaitExecReply>(*connection_, Type::kWaitExec,
                                       protocol::ExecIdRequest{containerId, execId}, {}, limits));
  return std::move(reply.status);
}

absl::Status MonitorClient::killExec(const std::string& containerId, const std::string& execId,
                                     int signal, protocol::KillScope scope,
                                     const CallLimits& limits) {
  return callPlain(*connection_, Type::kKillExec,
                   protocol::KillExecRequest{containerId, execId, signal, scope}, limits);
}

absl::Status MonitorClient::attach(const std::string& containerId, const Streams& streams,
                                   const CallLimits& limits) {
  return callPlain(*connection_, Type::kAttach,
                   protocol::AttachRequest{containerId, maskOf(streams)}, limits, streams);
}

absl::Status MonitorClient::resize(const std::string& containerId, const std::string& execId,
                                   uint16_t width, uint16_t height, const CallLimits& limits) {
  return callPlain(*connection_, Type::kResize,
                   protocol::ResizeRequest{containerId, execId, width, height}, limits);
}

absl::Status MonitorClient::closeStdin(const std::string& containerId, const std::string& execId,
                                       const CallLimits& limits) {
  return callPlain(*connection_, Type::kCloseStdin, protocol::ExecIdRequest{containerId, execId},
                   limits);
}

absl::Status MonitorClient::reopenLog(const std::string& containerId, const std::string& logPath,
                                      const CallLimits& limits) {
  return callPlain(*connection_, Type::kReopenLog, protocol::ReopenLogRequest{containerId, logPath},
                   limits);
}

absl::StatusOr<MonitorClient::Listing> MonitorClient::list(const CallLimits& limits) {
  return callListing(*connection_, Type::kList, limits);
}

absl::StatusOr<MonitorClient::Listing> MonitorClient::subscribe(const CallLimits& limits) {
  return callListing(*connection_, Type::kSubscribe, limits);
}

absl::Status MonitorClient::shutdown(const CallLimits& limits) {
  BERTH_RETURN_IF_ERROR(callPlain(*connection_, Type::kShutdown, protocol::Empty{}, limits));
  return connection_->waitLost(limits);
}

}  // namespace berth::runc
