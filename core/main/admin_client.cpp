#include "main/admin_client.hpp"

#include <chrono>

#include <grpcpp/grpcpp.h>

#include "berth-admin-v1.grpc.pb.h"
#include "berth/support/status.hpp"

namespace berth::program {

namespace {

namespace admin = berth::admin::v1;
using support::strCat;

constexpr std::chrono::seconds kPatience{30};

// `call` makes it with a stub and a context.
template <typename Response, typename Call>
absl::StatusOr<Response> ask(const std::string& socket, const Call& call) {
  const auto channel =
      grpc::CreateChannel(strCat("unix:", socket), grpc::InsecureChannelCredentials());
  const auto stub = admin::Admin::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  Response response;
  const grpc::Status status = call(*stub, context, response);
  if (status.ok()) return response;
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE)
    return absl::UnavailableError(
        strCat("no daemon answers on ", socket, ": ", status.error_message()));
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED)
    return absl::UnimplementedError(
        strCat("the daemon on ", socket, " is older than this command and does not know it"));
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      support::toAbsl(status.error_message()));
}

}  // namespace

absl::StatusOr<admin::ReloadResponse> askToReload(const std::string& socket) {
  return ask<admin::ReloadResponse>(
      socket, [](admin::Admin::Stub& stub, grpc::ClientContext& context, auto& response) {
        return stub.Reload(&context, {}, &response);
      });
}

absl::StatusOr<admin::ConfigurationResponse> askForConfiguration(const std::string& socket) {
  return ask<admin::ConfigurationResponse>(
      socket, [](admin::Admin::Stub& stub, grpc::ClientContext& context, auto& response) {
        return stub.Configuration(&context, {}, &response);
      });
}

}  // namespace berth::program
