#include "engine/volume_records.hpp"

#include "berth/runtime.h"

namespace berth::engine {

namespace v1 = runtime::v1;

namespace {

void fill(const support::IdRanges& ranges,
          google::protobuf::RepeatedPtrField<v1::IDMapping>& mappings) {
  for (const support::IdRange& range : ranges) {
    v1::IDMapping* mapping = mappings.Add();
    mapping->set_container_id(range.inside);
    mapping->set_host_id(range.outside);
    mapping->set_length(range.length);
  }
}

}  // namespace

support::IdRanges idRanges(const google::protobuf::RepeatedPtrField<v1::IDMapping>& mappings) {
  support::IdRanges ranges;
  for (const v1::IDMapping& mapping : mappings) {
    ranges.push_back({mapping.container_id(), mapping.host_id(), mapping.length()});
  }
  return ranges;
}

records::MappedMountRecord mappedMountRecord(const spec::MappedMount& mount) {
  records::MappedMountRecord record;
  record.set_source(mount.source);
  record.set_target(mount.target);
  fill(mount.uids, *record.mutable_uids());
  fill(mount.gids, *record.mutable_gids());
  record.set_propagates(mount.propagates);
  return record;
}

std::vector<spec::MappedMount> mappedMounts(const records::ContainerRecord& record) {
  std::vector<spec::MappedMount> mounts;
  for (const records::MappedMountRecord& one : record.mapped_mounts()) {
    mounts.push_back({.source = one.source(),
                      .target = one.target(),
                      .uids = idRanges(one.uids()),
                      .gids = idRanges(one.gids()),
                      .propagates = one.propagates()});
  }
  return mounts;
}

volumes::KnownNamespace knownNamespace(const records::PodRecord& pod) {
  auto found = pod.namespaces().find(BERTH_NAMESPACE_USER);
  if (found == pod.namespaces().end()) return {};
  const v1::UserNamespace& user =
      pod.config().linux().security_context().namespace_options().userns_options();
  return {found->second, idRanges(user.uids()), idRanges(user.gids())};
}

}  // namespace berth::engine
