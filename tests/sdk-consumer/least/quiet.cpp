// A network in C++ that connects nothing and always succeeds: the least a plugin can be.
#include <berth/network.hpp>

namespace {

class Quiet : public berth::Network {
 public:
  using Network::Network;

  berth::Status configure(std::string_view /*options*/) override { return {}; }
  berth::Status start() override {
    host().info("pods get no network");
    return {};
  }
  berth::Status attach(const berth::Op& op, const berth::NetworkRequest& request,
                       berth::NetworkResult& out) override {
    op.stage(request.pod);
    out.addresses.push_back("192.0.2.1");
    return {};
  }
  berth::Status detach(const berth::Op& /*op*/, const berth::NetworkRequest& /*request*/,
                       std::string_view /*state*/) override {
    return {};
  }
  berth::Status check(const berth::Op& /*op*/, const berth::NetworkRequest& /*request*/,
                      std::string_view /*state*/) override {
    return {};
  }
  berth::Status status(const berth::Op& /*op*/) override { return {}; }
  berth::Status gc(const berth::Op& /*op*/,
                   const std::vector<berth::Attachment>& /*wanted*/) override {
    return {};
  }
  berth::Status setPodCidr(const berth::Op& /*op*/, std::string_view /*cidr*/) override {
    return {};
  }
};

}  // namespace

BERTH_PLUGIN(Quiet, {.name = "quiet-cpp",
                     .version = "1.0.0",
                     .summary = "A network that connects nothing, in C++",
                     .threading = BERTH_THREADING_PARALLEL,
                     .options = ""})
