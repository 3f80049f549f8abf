#include "plugin_check/life.hpp"

#include <unistd.h>

#include <boost/json.hpp>

#include "berth/plugin.hpp"
#include "berth/support/status.hpp"
#include "plugin_check/blocked.hpp"
#include "plugins/options.hpp"

namespace berth::check {

std::optional<Subject> prepareSubject(Probe& probe) {
  Subject subject{probe.library(), {}};
  if (subject.library == nullptr) return std::nullopt;
  const auto given = probe.options(*subject.library);
  if (!given.ok()) {
    blocked(probe, {"options."}, support::fromAbsl(given.status().message()));
    return std::nullopt;
  }
  const auto resolved = plugins::resolveOptions(view(subject.plugin().options), *given);
  if (!resolved.ok()) {
    blocked(probe, {"options."},
            support::strCat("the options given do not fit (--config, --set): ",
                            support::fromAbsl(resolved.status().message())));
    return std::nullopt;
  }
  subject.options = boost::json::serialize(*resolved);
  return subject;
}

bool lacksRights(const absl::Status& status) {
  return !status.ok() && ::geteuid() != 0;
}

}  // namespace berth::check
