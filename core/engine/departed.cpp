// Objects that were removed while somebody listened to events, and of whose deletion the last
// daemon could not tell any more: nothing but their records is left.
#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "engine/engine.hpp"

namespace berth::engine {

namespace {

template <class Record>
absl::StatusOr<std::vector<Record>> departed(store::Store& store, std::string_view kind) {
  BERTH_ASSIGN_OR_RETURN(const std::vector<store::Entry> entries, store.list(kind));
  std::vector<Record> records;
  for (const store::Entry& entry : entries) {
    Record record;
    if (record.ParseFromString(entry.value) && record.deleted()) {
      records.push_back(std::move(record));
    }
  }
  return records;
}

}  // namespace

absl::Status Recovery::tellOfDeparted() {
  BERTH_ASSIGN_OR_RETURN(std::vector<records::PodRecord> podRecords,
                         departed<records::PodRecord>(engine_.store_, kPodKind));
  BERTH_ASSIGN_OR_RETURN(std::vector<records::ContainerRecord> records,
                         departed<records::ContainerRecord>(engine_.store_, kContainerKind));
  std::map<std::string, std::shared_ptr<Pod>> gone;
  for (records::PodRecord& record : podRecords) {
    auto pod = std::make_shared<Pod>(std::move(record), nullptr, engine_.store_);
    pod->observe(engine_.lifeEvents_);
    engine_.lifeEvents_.onStep(*pod);
    gone[pod->id()] = std::move(pod);
  }
  for (records::ContainerRecord& record : records) {
    std::shared_ptr<Pod> pod;
    if (auto known = engine_.findPod(record.pod_id()); known.ok()) pod = *std::move(known);
    if (auto found = gone.find(record.pod_id()); found != gone.end()) pod = found->second;
    if (pod == nullptr) {
      // The pod's deletion was told, and with it that of all that was in it.
      if (absl::Status erased = engine_.store_.erase(kContainerKind, record.id()); !erased.ok()) {
        common::logWarning("the record of what was removed stays; the next start erases it",
                           {{"id", record.id()}, {"error", erased.ToString()}});
      }
      continue;
    }
    const auto container = std::make_shared<Container>(std::move(record), pod, engine_.store_);
    container->observe(engine_.lifeEvents_);
    engine_.lifeEvents_.onStep(*container);
    engine_.lifeEvents_.removed(*container);
  }
  for (const auto& [id, pod] : gone) engine_.lifeEvents_.removed(*pod);
  return absl::OkStatus();
}

}  // namespace berth::engine
