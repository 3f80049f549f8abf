// The plugin: networks by CNI plugins.
#pragma once

#include <chrono>
#include <memory>

#include <absl/status/status.h>

#include "berth/network.hpp"
#include "berth/support/fd.hpp"
#include "chain.hpp"
#include "gate.hpp"
#include "invoker.hpp"
#include "networks.hpp"
#include "options.hpp"
#include "readiness.hpp"
#include "records.hpp"
#include "watcher.hpp"

namespace berth::cni {

class CniNetwork : public Network {
 public:
  using Network::Network;

  Status configure(std::string_view options) override;
  Status start() override;
  void stop() override;
  Status examine(const Op& op, Findings& out) override;

  Status attach(const Op& op, const NetworkRequest& request, NetworkResult& out) override;
  Status detach(const Op& op, const NetworkRequest& request, std::string_view state) override;
  Status check(const Op& op, const NetworkRequest& request, std::string_view state) override;
  Status status(const Op& op) override;
  Status gc(const Op& op, const std::vector<Attachment>& wanted) override;
  Status setPodCidr(const Op& op, std::string_view cidr) override;

 private:
  // Everything that configure() makes possible.
  struct Parts {
    explicit Parts(Options given);
    const Options options;
    const Invoker invoker;
    Records records;
    Networks networks;
    Readiness readiness;
    Gate gate;
  };

  // Until when plugins that a killed daemon has left at work are let be.
  static std::chrono::steady_clock::time_point patienceFromNow();
  absl::Status attachOne(const Op& op, const NetworkRequest& request, NetworkResult& out);
  // Writes the record and takes its lock.
  absl::StatusOr<support::Fd> begin(const AttachmentRecord& record) const;
  absl::Status connect(const Op& op, AttachmentRecord& record, int lock, NetworkResult& out);
  absl::Status rollBack(const Op& op, const AttachmentRecord& record, int lock,
                        const absl::Status& failure);
  // Undoes an attachment, after plugins that a killed daemon has left at work for it; until
  // `patience` they are let be.
  absl::Status runDel(const Op& op, const AttachmentRecord& record,
                      std::chrono::steady_clock::time_point patience) const;
  // DEL for all plugins, and what no DEL finds of an ADD that was cut off.
  absl::Status runDels(const Op& op, const AttachmentRecord& record, int lock,
                       const support::RunLimits& limits) const;
  absl::Status detachOne(const Op& op, const NetworkRequest& request, std::string_view state);
  absl::Status forget(std::string_view pod, const absl::Status& failure) const;
  absl::Status checkOne(const Op& op, const NetworkRequest& request, std::string_view state);
  absl::Status collect(const Op& op, const std::vector<Attachment>& wanted);
  absl::Status removeStale(const Op& op, const Records::Name& name,
                           const absl::StatusOr<AttachmentRecord>& found,
                           std::chrono::steady_clock::time_point patience);
  absl::StatusOr<AttachmentRecord> known(std::string_view pod, std::string_view state) const;
  absl::StatusOr<AttachmentRecord> orAsConfigured(absl::StatusOr<AttachmentRecord> record,
                                                  const NetworkRequest& request,
                                                  const std::string& interface) const;
  void onFilesChanged();
  void tellUnreadable();
  absl::Status releaseEmptied(const NetworkConfig& network) const;
  absl::Status examineRecords(Findings& out) const;

  std::unique_ptr<Parts> parts_;
  std::unique_ptr<Watcher> watcher_;
};

}  // namespace berth::cni
