#include "berth/network.hpp"

#include <algorithm>
#include <string>

#include "../world.hpp"

namespace {

using berth::Op;
using berth::Status;

class TestNetwork : public berth::Network {
 public:
  using Network::Network;

  Status configure(std::string_view options) override {
    world_ = &berth::testing::worldOf(options);
    return {};
  }
  Status attach(const Op& op, const berth::NetworkRequest& request,
                berth::NetworkResult&) override {
    return world_->answer(host(), op, "attach", request.pod);
  }
  Status detach(const Op& op, const berth::NetworkRequest& request,
                std::string_view state) override {
    const bool abandoned = std::ranges::any_of(request.annotations, [](const auto& one) {
      return one.first == "berth.network/abandoned";
    });
    return world_->answer(host(), op, abandoned ? "abandon" : "detach", request.pod,
                          std::string(state));
  }
  Status check(const Op&, const berth::NetworkRequest&, std::string_view) override { return {}; }
  Status status(const Op&) override { return {}; }
  Status gc(const Op& op, const std::vector<berth::Attachment>& wanted) override {
    std::string pods;
    for (const berth::Attachment& one : wanted) pods += std::string(one.pod).substr(0, 1);
    return world_->answer(host(), op, "gc", {}, pods);
  }
  Status setPodCidr(const Op& op, std::string_view cidr) override {
    return world_->answer(host(), op, "set_pod_cidr", {}, std::string(cidr));
  }

 private:
  berth::testing::World* world_ = nullptr;
};

}  // namespace

BERTH_PLUGIN(TestNetwork, {.name = "engine-test-network",
                           .version = "1.0.0",
                           .summary = "for tests",
                           .threading = BERTH_THREADING_PARALLEL,
                           .options = berth::testing::kWorldOption})
