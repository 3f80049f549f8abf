#include "cri/server.hpp"

#include <charconv>
#include <cstring>
#include <future>
#include <grp.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "cri/call_trace.hpp"

namespace berth::cri {

using support::strCat;

namespace {

// For calls that run when the daemon ends.
constexpr std::chrono::milliseconds kGrace{200};
// For an entry of the groups' database: its members are listed in it.
constexpr size_t kGroupBytes = 1u << 16;

absl::StatusOr<sockaddr_un> addressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return absl::InvalidArgumentError(strCat("grpc.socket ", path, " is longer than the ",
                                             sizeof address.sun_path - 1,
                                             " characters a socket may have"));
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

// Removes a socket that nobody serves.
absl::Status clearSocket(const std::string& path) {
  BERTH_ASSIGN_OR_RETURN(const sockaddr_un address, addressOf(path));
  BERTH_RETURN_IF_ERROR(refuseNoSocket(path));
  const support::Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const bool connected =
      ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  // EAGAIN: so many wait for an answer already that no more may.
  if (connected || errno == EAGAIN) {
    return absl::FailedPreconditionError(
        strCat("another process serves ", path, "; stop it first, or set grpc.socket"));
  }
  if (errno == ENOENT) return absl::OkStatus();
  if (errno != ECONNREFUSED) return support::errnoStatus(errno, strCat("look at ", path));
  return support::removePath(path);
}

absl::Status setAccess(const ServerSettings& settings) {
  if (::chmod(settings.socket.c_str(), settings.mode) != 0) {
    return support::errnoStatus(errno, strCat("set the mode of ", settings.socket));
  }
  if (!settings.group.has_value()) return absl::OkStatus();
  if (::chown(settings.socket.c_str(), static_cast<uid_t>(-1), *settings.group) != 0) {
    return support::errnoStatus(errno, strCat("set the group of ", settings.socket));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status refuseNoSocket(const std::string& path) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0 || S_ISSOCK(found.st_mode)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      strCat(path, " is there, and is no socket; set grpc.socket to another path"));
}

absl::StatusOr<gid_t> socketGroup(const std::string& group) {
  std::vector<char> buffer(kGroupBytes);
  struct group entry {};
  struct group* found = nullptr;
  ::getgrnam_r(group.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found != nullptr) return entry.gr_gid;
  gid_t number = 0;
  const char* end = group.data() + group.size();
  const auto read = std::from_chars(group.data(), end, number);
  // The highest number stands for "no group" (chown(2)).
  if (!group.empty() && read.ec == std::errc() && read.ptr == end &&
      number != static_cast<gid_t>(-1))
    return number;
  return absl::FailedPreconditionError(strCat("there is no group ", group));
}

absl::StatusOr<std::unique_ptr<Server>> Server::start(const ServerSettings& settings,
                                                      RuntimeService& runtime, ImageService& images,
                                                      const std::vector<grpc::Service*>& others,
                                                      CallEnded ended) {
  const size_t slash = settings.socket.rfind('/');
  if (slash != std::string::npos && slash > 0) {
    BERTH_RETURN_IF_ERROR(support::makeDirectories(settings.socket.substr(0, slash)));
  }
  BERTH_RETURN_IF_ERROR(clearSocket(settings.socket));
  grpc::ServerBuilder builder;
  builder.AddListeningPort(strCat("unix:", settings.socket), grpc::InsecureServerCredentials());
  builder.RegisterService(&runtime);
  builder.RegisterService(&images);
  for (grpc::Service* other : others) builder.RegisterService(other);
  builder.SetMaxReceiveMessageSize(settings.maxMessageBytes);
  builder.SetMaxSendMessageSize(settings.maxMessageBytes);
  // The kubelet keeps one connection; more pollers would only cost memory.
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 4);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> hear;
  hear.push_back(std::make_unique<CallTraceFactory>());
  if (ended) hear.push_back(std::make_unique<CallMeterFactory>(std::move(ended)));
  builder.experimental().SetInterceptorCreators(std::move(hear));
  std::unique_ptr<grpc::Server> server;
  BERTH_RETURN_IF_ERROR(support::onOwnThread([&]() -> absl::Status {
    // All threads share the mask, and others make files meanwhile: this one gets its own, and those
    // that gRPC starts from here share it.
    if (::unshare(CLONE_FS) != 0) return support::errnoStatus(errno, "unshare CLONE_FS");
    // Between mask and chmod nobody else may connect.
    const mode_t mask = ::umask(0177);
    server = builder.BuildAndStart();
    ::umask(mask);
    if (server != nullptr) return absl::OkStatus();
    return absl::FailedPreconditionError(strCat("cannot listen on ", settings.socket));
  }));
  BERTH_RETURN_IF_ERROR(setAccess(settings));
  return std::unique_ptr<Server>(new Server(std::move(server)));
}

void Server::stop(const std::function<void()>& cutOff) {
  if (server_ == nullptr) return;
  std::promise<void> ended;
  auto cutter = support::startThread([&] {
    if (ended.get_future().wait_for(kGrace) != std::future_status::ready && cutOff) cutOff();
  });
  // Without a thread nobody would end them in time.
  if (!cutter.ok() && cutOff) cutOff();
  server_->Shutdown(std::chrono::system_clock::now() + kGrace);
  server_->Wait();
  ended.set_value();
  if (cutter.ok()) cutter->join();
  server_.reset();
}

}  // namespace berth::cri
