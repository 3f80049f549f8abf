// Between what a container's mounts need on the host and its durable record.
#pragma once

#include <vector>

#include "engine/spec/types.hpp"
#include "engine/volumes/mapped_mounts.hpp"
#include "records.pb.h"

namespace berth::engine {

records::MappedMountRecord mappedMountRecord(const spec::MappedMount& mount);
std::vector<spec::MappedMount> mappedMounts(const records::ContainerRecord& record);

// The user namespace of the pod; none when it has no own.
volumes::KnownNamespace knownNamespace(const records::PodRecord& pod);

support::IdRanges idRanges(
    const google::protobuf::RepeatedPtrField<runtime::v1::IDMapping>& mappings);

}  // namespace berth::engine
