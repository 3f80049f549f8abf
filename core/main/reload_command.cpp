// `berth reload`: has the running daemon read its configuration anew.
#include <chrono>
#include <cstdio>

#include <grpcpp/grpcpp.h>

#include "berth-admin-v1.grpc.pb.h"
#include "berth/support/status.hpp"
#include "main/options.hpp"

namespace berth::program {

namespace {

namespace admin = berth::admin::v1;
using support::strCat;

constexpr std::chrono::seconds kPatience{30};

absl::StatusOr<admin::ReloadResponse> askToReload(const std::string& socket) {
  auto channel = grpc::CreateChannel(strCat("unix:", socket), grpc::InsecureChannelCredentials());
  auto stub = admin::Admin::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  admin::ReloadResponse response;
  const grpc::Status status = stub->Reload(&context, {}, &response);
  if (status.ok()) return response;
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE)
    return absl::UnavailableError(
        strCat("no daemon answers on ", socket, ": ", status.error_message()));
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      support::toAbsl(status.error_message()));
}

}  // namespace

int reload(const ConfigOptions& options) {
  // Where the daemon is; what it reads is its own.
  auto loaded = config::load(pathsOf(options));
  if (!loaded.ok()) return fail(loaded.status());
  const auto response = askToReload(loaded->grpc.socket);
  if (!response.ok()) return fail(response.status());
  if (response->changes().empty()) std::puts("Nothing has changed.");
  for (const admin::Change& change : response->changes())
    std::printf("%s: %s -> %s%s\n", change.key().c_str(),
                change.from().empty() ? "none" : change.from().c_str(),
                change.to().empty() ? "none" : change.to().c_str(),
                change.restart() ? " (with the next start)" : "");
  return 0;
}

}  // namespace berth::program
