// `berth explain pod`: where the milliseconds went.
#include <cstdio>

#include "berth/support/files.hpp"
#include "common/terminal.hpp"
#include "main/admin_client.hpp"
#include "main/explanation.hpp"
#include "main/options.hpp"

namespace berth::program {

int explainPod(const ConfigOptions& options, const ExplainOptions& wanted) {
  auto loaded = config::load(pathsOf(options));
  if (!loaded.ok()) return fail(loaded.status());
  const auto timelines = askForTimelines(loaded->grpc.socket, wanted.pod);
  if (!timelines.ok()) return fail(timelines.status());
  if (wanted.page.empty()) {
    std::fputs(common::forTerminal(explainAsText(*timelines)).c_str(), stdout);
    return 0;
  }
  const absl::Status written = support::replaceFile(wanted.page, explainAsPage(*timelines), 0644,
                                                    support::Durability::kVisible);
  return written.ok() ? 0 : fail(written);
}

}  // namespace berth::program
