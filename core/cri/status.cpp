#include <chrono>
#include <unistd.h>

#include <boost/json.hpp>

#include "berth/support/json.hpp"
#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"
#include "cri/status_info.hpp"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

void addCondition(v1::StatusResponse& response, const char* type,
                  const engine::Readiness::Verdict& verdict) {
  v1::RuntimeCondition* condition = response.mutable_status()->add_conditions();
  condition->set_type(type);
  condition->set_status(verdict.ready);
  condition->set_reason(verdict.reason);
  condition->set_message(verdict.message);
}

// Of the process that answers.
std::string daemonInfo(std::chrono::steady_clock::time_point begun) {
  const auto served = std::chrono::steady_clock::now() - begun;
  return boost::json::serialize(boost::json::object{
      {"version", BERTH_VERSION},
      {"pid", ::getpid()},
      {"servedMs", std::chrono::duration_cast<std::chrono::milliseconds>(served).count()}});
}

void addHandler(v1::StatusResponse& response, const std::string& name,
                const boost::json::object& features, bool userNamespaces) {
  v1::RuntimeHandler* handler = response.add_runtime_handlers();
  handler->set_name(name);
  handler->mutable_features()->set_recursive_read_only_mounts(
      support::boolMember(features, "recursiveReadOnly"));
  handler->mutable_features()->set_user_namespaces(userNamespaces);
}

}  // namespace

grpc::Status RuntimeService::Status(grpc::ServerContext* /*context*/,
                                    const v1::StatusRequest* request,
                                    v1::StatusResponse* response) {
  addCondition(*response, "RuntimeReady", readiness_.judge());
  const absl::Status network = engine_.networkStatus();
  addCondition(*response, "NetworkReady",
               network.ok() ? engine::Readiness::Verdict{}
                            : engine::Readiness::Verdict{false, "NetworkPluginNotReady",
                                                         std::string(network.message())});
  const std::string defaultRuntime = engine_.preferences()->defaultRuntime;
  for (const auto& [name, runtime] : engine_.registry().runtimes()) {
    // The handler without a name is the default one (CRI, RuntimeHandler.name).
    const bool userNamespaces = engine_.offersUserNamespaces(name);
    if (name == defaultRuntime) {
      addHandler(*response, "", runtime->features(), userNamespaces);
    }
    addHandler(*response, name, runtime->features(), userNamespaces);
  }
  response->mutable_features()->set_supplemental_groups_policy(true);
  response->mutable_features()->set_user_namespaces_host_network(true);
  response->mutable_features()->set_mount_options(true);
  if (!request->verbose()) return grpc::Status::OK;
  addStatusInfo(engine_, network, *response->mutable_info());
  (*response->mutable_info())["config"] = configuration_;
  (*response->mutable_info())["daemon"] = daemonInfo(begun_);
  return grpc::Status::OK;
}

}  // namespace berth::cri
