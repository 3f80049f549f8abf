#include "plugin_check/check.hpp"

namespace berth::check {

std::vector<Check> allChecks() {
  std::vector<Check> all;
  for (const auto& part :
       {fileChecks(), descriptionChecks(), optionChecks(), lifeCycleChecks(), growthChecks(),
        callChecks(), memoryChecks(), snapshotterLayerChecks(), snapshotterSnapshotChecks(),
        snapshotterFaultChecks(), sourceChecks(), networkChecks(), runtimeChecks(),
        runtimeExecChecks(), runtimeFaultChecks()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

}  // namespace berth::check
