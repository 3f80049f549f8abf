// Garbage collection: what pods had that the host does not want any more is given back.
#include <set>

#include "berth/support/status.hpp"
#include "host_local.hpp"
#include "network.hpp"

namespace berth::cni {

using support::strCat;

absl::Status CniNetwork::collect(const Op& op, const std::vector<Attachment>& wanted) {
  BERTH_ASSIGN_OR_RETURN(const Gate::Pass pass, parts_->gate.enterAlone(op));
  std::set<std::string_view> pods;
  std::vector<ValidAttachment> valid;
  for (const Attachment& one : wanted) {
    pods.insert(one.pod);
    const auto record = AttachmentRecord::decode(one.state, "state");
    valid.push_back(
        {std::string(one.pod), record.ok() ? record->interface : parts_->options.interface});
  }
  BERTH_ASSIGN_OR_RETURN(const auto names, parts_->records.list());
  support::StatusCollector failures;
  // All of them were cut off at the same moment.
  const auto patience = patienceFromNow();
  for (const Records::Name& name : names) {
    if (pods.contains(name.pod)) continue;
    const auto record = parts_->records.load(name.pod, name.interface);
    // Left alone, also by the plugins' own collection.
    if (!record.ok() && !isLost(record.status())) valid.push_back({name.pod, name.interface});
    failures.add(support::annotate(removeStale(op, name, record, patience),
                                   strCat("release the stale attachment of pod ", name.pod)));
  }
  const auto network = parts_->networks.network();
  if (network.ok()) failures.add(Chain(parts_->invoker, op).gc(**network, valid));
  if (network.ok()) failures.add(releaseEmptied(**network));
  return failures.status();
}

absl::Status CniNetwork::releaseEmptied(const NetworkConfig& network) const {
  BERTH_ASSIGN_OR_RETURN(const auto released, releaseEmptyReservations(network));
  for (const std::string& path : released)
    host().warn(
        "the reservation of an address had no owner, as a kill or a power cut leaves it: it is "
        "released",
        {{"file", path}});
  return absl::OkStatus();
}

absl::Status CniNetwork::removeStale(const Op& op, const Records::Name& name,
                                     const absl::StatusOr<AttachmentRecord>& found,
                                     std::chrono::steady_clock::time_point patience) {
  NetworkRequest request;
  request.pod = name.pod;
  BERTH_ASSIGN_OR_RETURN(const auto record, orAsConfigured(found, request, name.interface));
  BERTH_RETURN_IF_ERROR(runDel(op, record, patience));
  return parts_->records.remove(name.pod, name.interface);
}

}  // namespace berth::cni
