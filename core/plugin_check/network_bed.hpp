// A started network and pods' network namespaces, for the checks of networks.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "plugin_check/probe.hpp"
#include "plugin_check/session.hpp"

namespace berth::check {

// A network namespace that a path keeps, gone with this object.
class PodNamespace {
 public:
  static absl::StatusOr<std::unique_ptr<PodNamespace>> make(const std::string& path);
  ~PodNamespace();
  PodNamespace(const PodNamespace&) = delete;
  PodNamespace& operator=(const PodNamespace&) = delete;

  const std::string& path() const { return path_; }
  // What it has: names of interfaces and addresses of those that are up.
  struct Interfaces {
    std::set<std::string> names, addresses;
    bool loopbackUp = false;
  };
  Interfaces interfaces() const;

 private:
  explicit PodNamespace(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

// Of this process's own network namespace.
PodNamespace::Interfaces hostInterfaces();

struct TestPod {
  std::unique_ptr<PodNamespace> space;
  plugins::NetworkRequest request;
  plugins::NetworkResult result;
};

class NetworkBed {
 public:
  // Null when the check is skipped.
  static std::unique_ptr<NetworkBed> begin(Probe& probe);

  Probe& probe() { return probe_; }
  Session& session() { return *session_; }
  plugins::Network& plugin() { return session_->network(); }
  const plugins::Operation& op() const { return op_; }

  // A pod with a namespace that is not attached yet; false when there is none to be had.
  bool makePod(const std::string& name, TestPod& pod);
  bool attach(TestPod& pod);
  absl::Status detach(const TestPod& pod);
  // Tells the probe when it fails.
  bool detached(const TestPod& pod);

 private:
  NetworkBed(Probe& probe, std::unique_ptr<Session> session)
      : probe_(probe), session_(std::move(session)), op_("check", soon(std::chrono::seconds(50))) {}

  Probe& probe_;
  std::unique_ptr<Session> session_;
  plugins::Operation op_;
};

}  // namespace berth::check
