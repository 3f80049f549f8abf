#include "network.hpp"

#include <algorithm>
#include <utility>

#include "berth/support/status.hpp"
#include "limits.hpp"
#include "loopback.hpp"
#include "plugins_at_work.hpp"
#include "pod_cidr.hpp"
#include "result.hpp"

namespace berth::cni {

using support::fromAbsl;
using support::strCat;

namespace {

// An ADD takes some seconds at most; one that takes longer is not waited for by its undoing.
constexpr auto kPatience = std::chrono::seconds(10);

// An operator's decision, which the host alone passes on (berth/network.h).
bool isAbandoned(const NetworkRequest& request) {
  return std::ranges::any_of(request.annotations,
                             [](const auto& one) { return one.first == BERTH_NETWORK_ABANDONED; });
}

absl::Status allInstalled(const Invoker& invoker, const NetworkConfig& network) {
  for (const PluginConfig& plugin : network.plugins)
    BERTH_RETURN_IF_ERROR(invoker.find(plugin.type).status());
  return absl::OkStatus();
}

}  // namespace

CniNetwork::Parts::Parts(Options given)
    : options(std::move(given)),
      invoker(options.binDirs),
      records(options.cacheDir),
      networks(options, invoker),
      readiness(options, invoker, networks),
      gate(options.maxConcurrent) {}

std::chrono::steady_clock::time_point CniNetwork::patienceFromNow() {
  return std::chrono::steady_clock::now() + kPatience;
}

Status CniNetwork::configure(std::string_view options) {
  auto parsed = parseOptions(options, host().rootDirectory());
  if (!parsed.ok()) return parsed.status();
  parts_ = std::make_unique<Parts>(*std::move(parsed));
  return {};
}

Status CniNetwork::start() {
  absl::Status prepared = parts_->records.prepare();
  if (!prepared.ok()) return prepared;
  tellUnreadable();
  const Options& options = parts_->options;
  watcher_ = std::make_unique<Watcher>(
      Watcher::Watched{.directories = options.binDirs, .withFolders = {options.confDir}},
      [this] { onFilesChanged(); });
  const absl::Status watching = watcher_->start();
  // Each use of the network looks at the files as well; only the event is missing then.
  if (!watching.ok())
    host().warn("CNI configuration is not watched: changes show when the network is next used",
                {{"error", fromAbsl(watching.message())}});
  for (const std::string& problem : parts_->networks.current()->problems)
    host().warn("CNI configuration is left out", {{"error", problem}});
  return {};
}

void CniNetwork::tellUnreadable() {
  const auto unreadable = parts_->records.findUnreadable();
  if (!unreadable.ok()) {
    host().warn("records of attachments cannot be looked at",
                {{"error", fromAbsl(unreadable.status().message())}});
    return;
  }
  for (const support::DamagedFile& file : *unreadable) {
    if (!absl::IsDataLoss(file.why)) {
      host().warn("the record of an attachment cannot be read; it is left alone",
                  {{"file", file.path}, {"error", fromAbsl(file.why.message())}});
      continue;
    }
    const auto aside = parts_->records.setAside(file);
    host().error(
        "the record of an attachment is damaged; it is undone as the configuration says",
        {{"file", file.path},
         {"error", fromAbsl(file.why.message())},
         {"aside", aside.ok() ? *aside : std::string(fromAbsl(aside.status().message()))}});
  }
}

void CniNetwork::stop() {
  if (watcher_ != nullptr) watcher_->stop();
}

absl::Status CniNetwork::examineRecords(Findings& out) const {
  constexpr std::string_view kWhat = "damaged record";
  BERTH_ASSIGN_OR_RETURN(const auto unreadable, parts_->records.findUnreadable());
  for (const support::DamagedFile& file : unreadable) {
    const std::string_view why = fromAbsl(file.why.message());
    if (absl::IsDataLoss(file.why)) {
      out.limited(kWhat, strCat(file.path, " is set aside once its pod is gone: ", why));
    } else {
      out.limited("record of an attachment", strCat(file.path, " is left alone: ", why));
    }
  }
  BERTH_ASSIGN_OR_RETURN(const auto aside, parts_->records.aside().list());
  for (const std::string& path : aside) out.limited(kWhat, support::describeAside(path));
  return absl::OkStatus();
}

// No configuration is no reason not to start: a network add-on brings it, in a pod.
Status CniNetwork::examine(const Op& /*op*/, Findings& out) {
  BERTH_RETURN_IF_ERROR(examineRecords(out));
  const auto snapshot = parts_->networks.current();
  if (snapshot->network == nullptr) {
    out.limited("CNI network", fromAbsl(noNetwork(parts_->options, *snapshot).message()));
    return {};
  }
  const NetworkConfig& network = *snapshot->network;
  out.ok("CNI network", strCat(network.name, ", ", network.source));
  for (const std::string& problem : snapshot->problems) out.limited("CNI configuration", problem);
  std::string found;
  for (const PluginConfig& plugin : network.plugins) {
    const auto path = parts_->invoker.find(plugin.type);
    if (!path.ok()) out.limited("CNI plugin", fromAbsl(path.status().message()));
    if (path.ok()) found += strCat(found.empty() ? "" : ", ", *path);
  }
  if (!found.empty()) out.ok("CNI plugins", found);
  return {};
}

void CniNetwork::onFilesChanged() {
  try {
    const auto snapshot = parts_->networks.reload();
    parts_->readiness.forget();
    for (const std::string& problem : snapshot->problems)
      host().warn("CNI configuration is left out", {{"error", problem}});
    if (snapshot->network != nullptr)
      host().info("CNI network loaded", {{"network", snapshot->network->name},
                                         {"file", snapshot->network->source},
                                         {"cniVersion", snapshot->network->version.text()}});
    host().emit({.kind = BERTH_EVENT_NETWORK_CHANGED});
  } catch (const std::exception& exception) {
    host().error("reading the CNI configuration failed", {{"error", exception.what()}});
  }
}

Status CniNetwork::attach(const Op& op, const NetworkRequest& request, NetworkResult& out) {
  return attachOne(op, request, out);
}

Status CniNetwork::detach(const Op& op, const NetworkRequest& request, std::string_view state) {
  const absl::Status detached = detachOne(op, request, state);
  if (detached.ok() || !isAbandoned(request)) return detached;
  return forget(request.pod, detached);
}

Status CniNetwork::check(const Op& op, const NetworkRequest& request, std::string_view state) {
  return checkOne(op, request, state);
}

Status CniNetwork::status(const Op& op) {
  return parts_->readiness.status(op);
}

Status CniNetwork::gc(const Op& op, const std::vector<Attachment>& wanted) {
  return collect(op, wanted);
}

Status CniNetwork::setPodCidr(const Op& /*op*/, std::string_view cidr) {
  return writePodCidrConfig(parts_->options, parts_->networks, cidr);
}

absl::Status CniNetwork::attachOne(const Op& op, const NetworkRequest& request,
                                   NetworkResult& out) {
  BERTH_RETURN_IF_ERROR(checkRequest(request));
  if (request.namespacePath.empty())
    return absl::InvalidArgumentError(strCat("attach pod ", request.pod, ": no network namespace"));
  BERTH_ASSIGN_OR_RETURN(const Gate::Pass pass, parts_->gate.enter(op, request.pod));
  BERTH_ASSIGN_OR_RETURN(const auto network, parts_->networks.network());
  BERTH_RETURN_IF_ERROR(allInstalled(parts_->invoker, *network));
  // ADD must not be run twice without DEL in between (CNI spec, section 2).
  const auto before = known(request.pod, {});
  if (before.ok()) {
    BERTH_RETURN_IF_ERROR(
        support::annotate(runDel(op, *before, patienceFromNow()), "undo an earlier attachment"));
    BERTH_RETURN_IF_ERROR(parts_->records.remove(before->pod, before->interface));
  } else if (!isLost(before.status())) {
    return before.status();
  }

  AttachmentRecord record = newRecord(request, parts_->options.interface, *network);
  LoopbackSetup loopback(record.namespacePath);
  const auto lock = begin(record);
  const absl::Status up = loopback.wait();
  if (!lock.ok() || !up.ok()) {
    support::StatusCollector failures;
    failures.add(lock.status());
    failures.add(up);
    failures.add(parts_->records.remove(record.pod, record.interface));
    return failures.status();
  }
  return connect(op, record, lock->get(), out);
}

absl::StatusOr<support::Fd> CniNetwork::begin(const AttachmentRecord& record) const {
  BERTH_RETURN_IF_ERROR(parts_->records.begin(record));
  return lockRecord(parts_->records.recordFile(record.pod, record.interface));
}

absl::Status CniNetwork::connect(const Op& op, AttachmentRecord& record, int lock,
                                 NetworkResult& out) {
  auto result = Chain(parts_->invoker, op, lock).add(record);
  if (!result.ok()) return rollBack(op, record, lock, result.status());
  record.result = *std::move(result);
  out.addresses = addressesOf(*record.result, record.interface);
  if (out.addresses.empty())
    return rollBack(op, record, lock,
                    absl::FailedPreconditionError(strCat(
                        "network ", record.network.name, " gave ", record.interface, " of pod ",
                        record.pod, " no address: configure IPAM in ", record.network.source)));
  const absl::Status kept = parts_->records.complete(record);
  // The state that goes to the host holds the same.
  if (!kept.ok())
    host().warn("the result of a CNI attachment was not kept",
                {{"pod", record.pod}, {"error", fromAbsl(kept.message())}});
  out.result = boost::json::serialize(*record.result);
  out.state = record.encode();
  return absl::OkStatus();
}

absl::Status CniNetwork::rollBack(const Op& op, const AttachmentRecord& record, int lock,
                                  const absl::Status& failure) {
  absl::Status undone = runDels(op, record, lock, limitsOfUndo(op));
  if (undone.ok()) undone = parts_->records.remove(record.pod, record.interface);
  if (undone.ok()) return failure;
  // The record stays, so that detach or gc can finish.
  return absl::Status(failure.code(), strCat(failure.message(),
                                             "; giving back what was taken failed too, detach "
                                             "again: ",
                                             undone.message()));
}

absl::Status CniNetwork::runDel(const Op& op, const AttachmentRecord& record,
                                std::chrono::steady_clock::time_point patience) const {
  support::Fd lock;
  // An ADD that was not cut off has left its result. What its plugins left running on purpose is
  // let be.
  if (!record.result) {
    BERTH_ASSIGN_OR_RETURN(
        lock, awaitPlugins(op, parts_->records.recordFile(record.pod, record.interface), patience));
  }
  return runDels(op, record, lock.get(), limitsOf(op));
}

absl::Status CniNetwork::runDels(const Op& op, const AttachmentRecord& record, int lock,
                                 const support::RunLimits& limits) const {
  BERTH_RETURN_IF_ERROR(Chain(parts_->invoker, op, lock).remove(record, limits));
  // What cannot be had now is had by gc().
  const absl::Status released = record.result ? absl::OkStatus() : releaseEmptied(record.network);
  if (!released.ok())
    host().warn("reservations without an owner were not looked for",
                {{"pod", record.pod}, {"error", fromAbsl(released.message())}});
  return absl::OkStatus();
}

// From the host's state, else from the plugin's own record. NOT_FOUND: neither exists. Else it was
// attached, and fails as Records::load().
absl::StatusOr<AttachmentRecord> CniNetwork::known(std::string_view pod,
                                                   std::string_view state) const {
  if (!state.empty()) {
    auto record = AttachmentRecord::decode(state, strCat("saved state of pod ", pod));
    if (!record.ok() && !isLost(record.status())) return record;
    if (record.ok() && record->pod == pod) {
      // A newer version may have taken the pod over since, and have left the state as it was.
      const absl::Status own = parts_->records.load(pod, record->interface).status();
      return own.ok() || isLost(own) ? record : own;
    }
  }
  auto record = parts_->records.load(pod, parts_->options.interface);
  if (!absl::IsNotFound(record.status())) return record;
  // The interface's name may have been another one when the pod was attached.
  BERTH_ASSIGN_OR_RETURN(const auto names, parts_->records.list());
  for (const Records::Name& name : names)
    if (name.pod == pod) return parts_->records.load(name.pod, name.interface);
  return record;
}

// Where there is no record, or none that makes sense, what the configuration says.
absl::StatusOr<AttachmentRecord> CniNetwork::orAsConfigured(absl::StatusOr<AttachmentRecord> record,
                                                            const NetworkRequest& request,
                                                            const std::string& interface) const {
  if (record.ok() || !isLost(record.status())) return record;
  const auto network = parts_->networks.network();
  if (!network.ok()) return record;
  return newRecord(request, interface, **network);
}

absl::Status CniNetwork::detachOne(const Op& op, const NetworkRequest& request,
                                   std::string_view state) {
  // attach refuses such ids.
  if (!isIdentifier(request.pod)) return absl::OkStatus();
  BERTH_ASSIGN_OR_RETURN(const Gate::Pass pass, parts_->gate.enter(op, request.pod));
  auto record = known(request.pod, state);
  const bool isRecorded = !absl::IsNotFound(record.status());
  record = orAsConfigured(std::move(record), request, parts_->options.interface);
  if (!record.ok()) return isRecorded ? record.status() : absl::OkStatus();
  // A host that has lost its own record does not know it: plugins find their interfaces in it.
  if (!request.namespacePath.empty()) record->namespacePath = std::string(request.namespacePath);
  absl::Status removed = runDel(op, *record, patienceFromNow());
  if (!removed.ok()) {
    // A record is on disk before the first plugin runs: this pod was never attached, or has been
    // detached. That the plugins are missing or broken must not keep it from being stopped.
    if (isRecorded) return removed;
    host().warn("DEL for a pod without a record failed",
                {{"pod", request.pod}, {"error", fromAbsl(removed.message())}});
  }
  return parts_->records.remove(record->pod, record->interface);
}

// Also when not even its turn has come: the host will not ask again.
absl::Status CniNetwork::forget(std::string_view pod, const absl::Status& failure) const {
  host().warn("an abandoned attachment is forgotten: what it took may stay",
              {{"pod", pod}, {"error", fromAbsl(failure.message())}});
  BERTH_ASSIGN_OR_RETURN(const auto names, parts_->records.list());
  support::StatusCollector failures;
  for (const Records::Name& name : names)
    if (name.pod == pod) failures.add(parts_->records.remove(name.pod, name.interface));
  return failures.status();
}

absl::Status CniNetwork::checkOne(const Op& op, const NetworkRequest& request,
                                  std::string_view state) {
  BERTH_RETURN_IF_ERROR(checkRequest(request));
  BERTH_ASSIGN_OR_RETURN(const Gate::Pass pass, parts_->gate.enter(op, request.pod));
  auto record = known(request.pod, state);
  if (!record.ok() && !isLost(record.status())) return record.status();
  if (!record.ok())
    return absl::FailedPreconditionError(
        strCat("pod ", request.pod, " is not attached: ", record.status().message()));
  if (!request.namespacePath.empty()) record->namespacePath = std::string(request.namespacePath);
  if (liveNamespace(record->namespacePath).empty())
    return absl::FailedPreconditionError(strCat("pod ", request.pod, ": its network namespace \"",
                                                record->namespacePath, "\" is gone"));
  absl::Status status = Chain(parts_->invoker, op).check(*record);
  if (status.ok() || absl::IsDeadlineExceeded(status) || absl::IsCancelled(status)) return status;
  return absl::FailedPreconditionError(status.message());
}

}  // namespace berth::cni
