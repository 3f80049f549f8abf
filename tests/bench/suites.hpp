// The suites: each measures all engines, in turn within each round, and adds a section to the
// report. A call that fails is reported, its engine leaves the suite, and the others go on.
// They return an error only for what ends the whole run: CANCELLED.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/strings/string_view.h>

#include "bare.hpp"
#include "engine.hpp"
#include "report.hpp"

namespace berth::bench {

struct Bench {
  const Options& options;
  Workspace& workspace;
  Interrupt& interrupt;
  std::vector<std::unique_ptr<Engine>> engines;
  std::unique_ptr<BarePrograms> bare;  // null without a root file system for them
  Report report;

  bool wants(const std::string& suite) const { return options.suites.contains(suite); }
  // Records a failed call and says so on standard error. CANCELLED when the run was interrupted,
  // and the failure is only a consequence; otherwise OK.
  absl::Status fail(absl::string_view suite, absl::string_view subject, const absl::Status& status);
  // Says on standard error what is being done.
  void progress(absl::string_view text) const;
  // After the removal of many files: until nothing of it is charged to who comes next. Engines may
  // delete after they have answered; dirty pages are written; and ext4 does not take the inode of a
  // file that was deleted within the last minute: whoever makes files meanwhile looks at each of
  // these first (recently_deleted(), fs/ext4/ialloc.c). CANCELLED when the run was interrupted.
  absl::Status letFileSystemRest() const;
};

absl::Status runCycle(Bench& bench, PodNetwork network);
absl::Status runExec(Bench& bench);
absl::Status runParallel(Bench& bench);
// Density, stats, idle and restart, as far as they were asked for: the same pods stand for all.
absl::Status runPopulation(Bench& bench);
absl::Status runPull(Bench& bench);
absl::Status runRemoval(Bench& bench);
absl::Status runStreams(Bench& bench);
absl::Status runCreated(Bench& bench);

// A suite's engines, and the bare programs where it measures them. One whose call fails is left out
// from then on.
class Sweep {
 public:
  Sweep(Bench& bench, absl::string_view suite);

  using Measure = std::function<absl::Status(Engine&)>;
  // All engines in turn, once.
  absl::Status each(const Measure& measure) { return rounds(1, measure); }
  // All engines in turn, `count` times over.
  absl::Status rounds(int count, const Measure& measure);
  // The bare programs, once, if there are any.
  absl::Status bare(const std::function<absl::Status(BarePrograms&)>& measure);

 private:
  Bench& bench_;
  std::string suite_;
  std::vector<Engine*> engines_;
  BarePrograms* bare_;
};

}  // namespace berth::bench
