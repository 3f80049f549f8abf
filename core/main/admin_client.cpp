#include "main/admin_client.hpp"

#include <chrono>
#include <memory>

#include <grpcpp/grpcpp.h>

#include "berth-admin-v1.grpc.pb.h"
#include "berth/support/status.hpp"
#include "main/daemon_channel.hpp"

namespace berth::program {

namespace {

namespace admin = berth::admin::v1;

constexpr std::chrono::seconds kPatience{30};

std::unique_ptr<admin::Admin::Stub> stubOf(const std::string& socket) {
  return admin::Admin::NewStub(channelTo(socket));
}

// `call` makes it with a stub and a context.
template <typename Response, typename Call>
absl::StatusOr<Response> ask(const std::string& socket, const Call& call) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  Response response;
  BERTH_RETURN_IF_ERROR(statusOf(call(*stubOf(socket), context, response), socket));
  return response;
}

}  // namespace

absl::StatusOr<admin::ReloadResponse> askToReload(const std::string& socket) {
  return ask<admin::ReloadResponse>(
      socket, [](admin::Admin::Stub& stub, grpc::ClientContext& context, auto& response) {
        return stub.Reload(&context, {}, &response);
      });
}

absl::StatusOr<admin::ReloadPluginResponse> askToReloadPlugin(const std::string& socket,
                                                              const std::string& name) {
  admin::ReloadPluginRequest request;
  request.set_name(name);
  return ask<admin::ReloadPluginResponse>(
      socket, [&](admin::Admin::Stub& stub, grpc::ClientContext& context, auto& response) {
        return stub.ReloadPlugin(&context, request, &response);
      });
}

absl::StatusOr<admin::ConfigurationResponse> askForConfiguration(const std::string& socket) {
  return ask<admin::ConfigurationResponse>(
      socket, [](admin::Admin::Stub& stub, grpc::ClientContext& context, auto& response) {
        return stub.Configuration(&context, {}, &response);
      });
}

std::string changeText(const admin::Change& change) {
  const auto shown = [](const std::string& value) { return value.empty() ? "none" : value; };
  return support::strCat(change.key(), ": ", shown(change.from()), " -> ", shown(change.to()));
}

absl::StatusOr<admin::TimelinesResponse> askForTimelines(const std::string& socket,
                                                         const std::string& object) {
  admin::TimelinesRequest request;
  request.set_object(object);
  return ask<admin::TimelinesResponse>(
      socket, [&](admin::Admin::Stub& stub, grpc::ClientContext& context, auto& response) {
        return stub.Timelines(&context, request, &response);
      });
}

absl::StatusOr<admin::AbandonNetworkResponse> askToAbandonNetwork(const std::string& socket,
                                                                  const std::string& pod) {
  admin::AbandonNetworkRequest request;
  request.set_pod(pod);
  return ask<admin::AbandonNetworkResponse>(
      socket, [&](admin::Admin::Stub& stub, grpc::ClientContext& context, auto& response) {
        return stub.AbandonNetwork(&context, request, &response);
      });
}

absl::Status askToCheckStorage(const std::string& socket, const admin::CheckStorageRequest& request,
                               const std::function<void(const admin::StorageFinding&)>& show) {
  grpc::ClientContext context;
  if (request.depth() == admin::STORAGE_SET_ASIDE)
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
  const auto stub = stubOf(socket);
  const auto reader = stub->CheckStorage(&context, request);
  admin::StorageFinding finding;
  while (reader->Read(&finding)) show(finding);
  return statusOf(reader->Finish(), socket);
}

}  // namespace berth::program
