#include "telemetry/timelines.hpp"

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <utility>

#include "berth/support/status.hpp"

namespace berth::telemetry {

using plugins::Timeline;
using support::strCat;

namespace {

// For the pods of a full node, each with a container or two.
constexpr size_t kMost = 512;
constexpr std::string_view kRun = "RunPodSandbox ";
constexpr size_t kNamedPods = 5;

// "namespace/name/uid/attempt", which a pod was run under.
bool isNamed(const Timeline& timeline, std::string_view name) {
  std::string_view rest = timeline.operation;
  if (!rest.starts_with(kRun)) return false;
  rest.remove_prefix(kRun.size());
  const size_t slash = rest.find('/');
  if (slash == std::string_view::npos) return false;
  const size_t end = rest.find('/', slash + 1);
  return rest.substr(0, end) == name || rest.substr(slash + 1, end - slash - 1) == name;
}

bool isMeant(const Timeline& timeline, std::string_view object) {
  return isNamed(timeline, object) ||
         std::any_of(timeline.subjects.begin(), timeline.subjects.end(),
                     [&](const std::string& id) { return id.starts_with(object); });
}

absl::Status unknown(std::string_view object) {
  return absl::NotFoundError(
      strCat("nothing is remembered of a pod or container \"", object,
             "\": only the last operations are remembered, and those since the daemon's start"));
}

absl::Status ambiguous(std::string_view object, const std::set<std::string_view>& pods) {
  std::string names;
  size_t count = 0;
  for (const std::string_view pod : pods)
    if (++count <= kNamedPods) names += strCat(names.empty() ? "" : ", ", pod);
  if (count > kNamedPods) names += strCat(" and ", count - kNamedPods, " more");
  return absl::FailedPreconditionError(
      strCat("\"", object, "\" may mean ", count,
             " pods; name one by its id, or as namespace/name: ", names));
}

}  // namespace

void Timelines::add(Timeline timeline) {
  if (timeline.subjects.empty()) return;
  Timeline oldest;  // goes after the lock
  const std::lock_guard lock(mutex_);
  timelines_.push_back(std::move(timeline));
  if (timelines_.size() <= kMost) return;
  oldest = std::move(timelines_.front());
  timelines_.pop_front();
}

absl::StatusOr<std::vector<Timeline>> Timelines::of(std::string_view object) const {
  if (object.empty()) return unknown(object);
  std::vector<Timeline> found;
  {
    const std::lock_guard lock(mutex_);
    std::set<std::string_view> pods;
    for (const Timeline& timeline : timelines_)
      if (isMeant(timeline, object)) pods.insert(timeline.subjects.front());
    if (pods.empty()) return unknown(object);
    if (pods.size() > 1) return ambiguous(object, pods);
    std::copy_if(
        timelines_.begin(), timelines_.end(), std::back_inserter(found),
        [&](const Timeline& timeline) { return timeline.subjects.front() == *pods.begin(); });
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& left, const auto& right) { return left.begin < right.begin; });
  return found;
}

}  // namespace berth::telemetry
