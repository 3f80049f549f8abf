// A layer's tar need not describe the directories above its entries. Unpacked one above the other,
// such a directory would keep the owner and mode it has in the layer below; as an overlay of
// independent layers it would show the ones it was made with. So the snapshot's own directory,
// which lies on top, gets a copy of each with what the layers below say.
#pragma once

#include <string>
#include <vector>

#include <absl/status/status.h>

#include "berth/plugin.hpp"
#include "records.hpp"

namespace berth::overlay {

struct LayerView {
  std::string path;                             // the layer's directory
  std::vector<std::string> impliedDirectories;  // sorted
};

// `upper` is the snapshot's empty directory; `layers` are lowest first. Ids are mapped to the
// host's. The root directory is always done. Ends with `op`: what there is to look at is the
// image's choice.
absl::Status inheritDirectories(const std::string& upper, const std::vector<LayerView>& layers,
                                const IdRanges& uids, const IdRanges& gids, const Op& op);

}  // namespace berth::overlay
