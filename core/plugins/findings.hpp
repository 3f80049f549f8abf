// The sink by which findings leave plugin calls.
#pragma once

#include <string>
#include <vector>

#include "berth/plugin.hpp"
#include "plugins/taking.hpp"

namespace berth::plugins {

// What an instance says of this host, or of what it keeps (berth_finding).
struct Finding {
  berth_finding_kind kind = BERTH_FINDING_OK;
  std::string what;
  std::string detail;   // with the place of the option that it is about
  bool spared = false;  // a start goes on without the instance
};

class FindingCollector {
 public:
  berth_finding_sink* get() { return &sink_; }
  std::vector<Finding>& findings() { return findings_; }
  const Taking& taking() const { return taking_; }

 private:
  static void add(berth_finding_sink* sink, const berth_finding* given) {
    auto& self = *static_cast<FindingCollector*>(sink->host);
    self.taking_.take(given, [&](const berth_finding& finding) -> Status {
      // A kind of a later minor version: neither well nor in the way.
      const bool known = finding.kind == BERTH_FINDING_OK || finding.kind == BERTH_FINDING_REFUSED;
      self.findings_.push_back({known ? finding.kind : BERTH_FINDING_LIMITED,
                                takenText(finding.what), takenText(finding.detail)});
      return {};
    });
  }

  Taking taking_;
  std::vector<Finding> findings_;
  berth_finding_sink sink_{sizeof(berth_finding_sink), this, &add};
};

}  // namespace berth::plugins
