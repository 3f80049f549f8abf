#include "grpc_peer.hpp"

#include <chrono>
#include <csignal>
#include <cstring>
#include <sys/prctl.h>
#include <unistd.h>
#include <utility>

#include <grpcpp/grpcpp.h>

#include "berth/support/status.hpp"

namespace berth::bench {

namespace cri = runtime::v1;

namespace {

constexpr const char* kServe = "--serve-peer";
constexpr std::chrono::seconds kStartTime{10};

class Service final : public cri::RuntimeService::Service {
  grpc::Status Version(grpc::ServerContext* /*context*/, const cri::VersionRequest* /*request*/,
                       cri::VersionResponse* answer) override {
    answer->set_version("0.1.0");
    return grpc::Status::OK;
  }
};

}  // namespace

absl::StatusOr<GrpcPeer> GrpcPeer::start(const std::string& socket) {
  support::Command command;
  command.argv = {"/proc/self/exe", kServe, socket};
  command.standardError = STDERR_FILENO;
  BERTH_ASSIGN_OR_RETURN(support::Process server, support::spawn(command));
  const auto channel =
      grpc::CreateChannel(support::strCat("unix:", socket), grpc::InsecureChannelCredentials());
  if (!channel->WaitForConnected(std::chrono::system_clock::now() + kStartTime))
    return absl::DeadlineExceededError("the gRPC server to compare with does not answer");
  return GrpcPeer(std::move(server), cri::RuntimeService::NewStub(channel));
}

absl::Status GrpcPeer::call() {
  grpc::ClientContext context;
  cri::VersionResponse answer;
  const grpc::Status status = stub_->Version(&context, cri::VersionRequest(), &answer);
  return status.ok() ? absl::OkStatus() : absl::UnavailableError(status.error_message());
}

bool isPeer(int argc, char** argv) {
  return argc == 3 && std::strcmp(argv[1], kServe) == 0;
}

int servePeer(char** argv) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  Service service;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(support::strCat("unix:", argv[2]), grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  server->Wait();
  return 0;
}

}  // namespace berth::bench
