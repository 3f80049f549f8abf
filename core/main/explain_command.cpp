// `berth explain pod`: where the milliseconds went.
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "main/admin_client.hpp"
#include "main/daemon_socket.hpp"
#include "main/explanation.hpp"
#include "main/options.hpp"
#include "main/print.hpp"

namespace berth::program {

namespace {

constexpr std::string_view kStandardOutput = "-";

// A file is there as a whole or stays as it was. A link that leads to one is replaced, for anybody
// may have put it there; into a device or a pipe is written, also by way of a link.
absl::Status writePage(const std::string& path, const std::string& page) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0 || S_ISREG(found.st_mode))
    return support::replaceFile(path, page, 0644, support::Durability::kVisible);
  BERTH_ASSIGN_OR_RETURN(const support::Fd target, support::openFile(path, O_WRONLY));
  return support::annotate(support::writeAll(target.get(), page), path);
}

}  // namespace

int explainPod(const ConfigOptions& options, const ExplainOptions& wanted) {
  const auto socket = findDaemon(options);
  if (!socket.ok()) return fail(socket.status());
  const auto timelines = askForTimelines(*socket, wanted.pod);
  if (!timelines.ok()) return fail(timelines.status());
  if (wanted.page.empty()) {
    print("%s", explainAsText(*timelines).c_str());
    return 0;
  }
  const std::string page = explainAsPage(*timelines);
  if (wanted.page == kStandardOutput) {
    std::fputs(page.c_str(), stdout);
    return 0;
  }
  const absl::Status written = writePage(wanted.page, page);
  return written.ok() ? 0 : fail(written);
}

}  // namespace berth::program
