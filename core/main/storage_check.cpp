#include "main/storage_check.hpp"

#include <map>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "engine/objects.hpp"
#include "records.pb.h"

namespace berth::program {

using images::StorageDepth;
using images::StorageState;
using support::fromAbsl;
using support::strCat;

namespace {

constexpr std::string_view kNextStart =
    "the next start sets it aside, and ends what it is the record of";

class RecordCheck {
 public:
  RecordCheck(const images::StorageRequest& request, const KeptThings& kept,
              const images::StorageTeller& tell)
      : request_(request), kept_(kept), tell_(tell) {}

  absl::Status run() {
    if (request_.depth != StorageDepth::kSetAside) {
      checkDatabase();
      BERTH_RETURN_IF_ERROR(checkKind<records::PodRecord>(engine::kPodKind));
      BERTH_RETURN_IF_ERROR(checkKind<records::ContainerRecord>(engine::kContainerKind));
    }
    BERTH_RETURN_IF_ERROR(tellOfRecords());
    return tellOfDatabases();
  }

 private:
  void checkDatabase() {
    const absl::Status whole = kept_.store.verify();
    const std::string what = strCat("database ", kept_.database);
    if (whole.ok()) return tell_({StorageState::kSound, what, "is whole"});
    const std::string detail(fromAbsl(whole.message()));
    if (!absl::IsDataLoss(whole)) return tell_({StorageState::kUnknown, what, detail});
    tell_({StorageState::kDamaged, what,
           strCat(detail,
                  "\nthe next start sets it aside and keeps what records can be read of it; pods "
                  "without one are ended: drain the node first")});
  }

  template <class Record>
  absl::Status checkKind(std::string_view kind) {
    BERTH_ASSIGN_OR_RETURN(const std::vector<store::Entry> entries, kept_.store.list(kind));
    size_t sound = 0;
    for (const store::Entry& entry : entries) {
      Record record;
      if (record.ParseFromString(entry.value) && record.id() == entry.id) {
        ++sound;
        continue;
      }
      tell_({StorageState::kDamaged, strCat("record of ", kind, " ", entry.id),
             strCat("it does not parse\n", kNextStart)});
    }
    tell_({StorageState::kSound, strCat("records of ", kind, "s"),
           strCat(sound, " of ", entries.size(), " can be read")});
    return absl::OkStatus();
  }

  void setAside(const std::string& what, const std::string& detail, const absl::Status& removed) {
    if (!request_.repair) return tell_({StorageState::kSetAside, what, detail});
    if (removed.ok()) return tell_({StorageState::kRepaired, what, strCat(detail, "\nremoved")});
    tell_({StorageState::kSetAside, what,
           strCat(detail, "\nnot removed: ", fromAbsl(removed.message()))});
  }

  // Nothing uses them; what people may still want of them is their bytes.
  absl::Status tellOfRecords() {
    BERTH_ASSIGN_OR_RETURN(const std::vector<store::Damaged> damaged, kept_.store.damaged());
    const absl::Status removed =
        request_.repair && !damaged.empty() ? kept_.store.forgetDamaged() : absl::OkStatus();
    for (const store::Damaged& one : damaged)
      setAside(strCat("record of ", one.kind, " ", one.id), one.reason, removed);
    return absl::OkStatus();
  }

  absl::Status tellOfDatabases() {
    const size_t slash = kept_.database.rfind('/');
    const std::string folder = kept_.database.substr(0, slash);
    const std::string prefix = kept_.database.substr(slash + 1) + ".damaged-";
    BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> names, support::listDirectory(folder));
    // Each with the files that SQLite had beside it.
    std::map<std::string, std::vector<std::string>> aside;
    for (const std::string& name : names) {
      if (!name.starts_with(prefix)) continue;
      const bool isBeside = name.ends_with("-wal") || name.ends_with("-shm");
      const std::string main = isBeside ? name.substr(0, name.rfind('-')) : name;
      aside[strCat(folder, "/", main)].push_back(strCat(folder, "/", name));
    }
    for (const auto& [path, files] : aside) {
      support::StatusCollector failures;
      for (const std::string& file : files)
        failures.add(request_.repair ? support::removePath(file) : absl::OkStatus());
      setAside(strCat("database ", path), "it could not be read at a start", failures.status());
    }
    return absl::OkStatus();
  }

  const images::StorageRequest& request_;
  const KeptThings& kept_;
  const images::StorageTeller& tell_;
};

}  // namespace

absl::Status checkStorage(const plugins::Operation& op, const images::StorageRequest& request,
                          const KeptThings& kept, const images::StorageTeller& tell) {
  BERTH_RETURN_IF_ERROR(RecordCheck(request, kept, tell).run());
  return kept.images.checkStorage(op, request, tell);
}

}  // namespace berth::program
