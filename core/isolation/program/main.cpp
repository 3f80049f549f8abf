// berth-plugin-host: loads one plugin for a host that keeps it out of its own process. Started by
// the host alone, with the control channel as descriptor 3.
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "common/open_files.hpp"
#include "isolation/program/confinement.hpp"
#include "isolation/program/plugin.hpp"

namespace berth::isolation {
namespace {

// As the daemon itself: signals of a terminal are for it, and it says when this process ends.
void inheritCustoms() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, number);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  common::raiseOpenFiles();
}

absl::StatusOr<std::unique_ptr<Plugin>> load(const LoadRequest& request, const support::Fd& file,
                                             HostProxy& host) {
  if (request.hostVersion != BERTH_VERSION)
    return absl::FailedPreconditionError(
        support::strCat("berth-plugin-host is of version ", BERTH_VERSION, ", its host of ",
                        request.hostVersion, ": start the daemon anew"));
  BERTH_RETURN_IF_ERROR(confine(request.interfaceId, request.capabilities));
  return Plugin::load(request, file, host);
}

void reply(const absl::StatusOr<std::unique_ptr<Plugin>>& plugin, HostProxy& host) {
  Encoder out;
  out.raw(static_cast<berth_code>(plugin.status().code()));
  out.text(support::fromAbsl(plugin.status().message()));
  if (plugin.ok()) encode(out, (*plugin)->description());
  host.tell(Kind::kLoaded, out);
}

int run() {
  Channel control{support::Fd(kControlDescriptor)};
  absl::StatusOr<Frame> first = control.receive();
  if (!first.ok() || first->kind != Kind::kLoad) return 1;
  Decoder in(first->bytes, first->descriptors);
  LoadRequest request;
  decode(in, request);
  support::Fd file;  // stays open: by its name what lies beside the plugin is found
  if (first->descriptors.size() > kHostChannels) file = in.takeDescriptor();
  std::vector<support::Fd> channels(kHostChannels);
  for (support::Fd& channel : channels) channel = in.takeDescriptor();
  if (!in.finished()) return 1;
  HostProxy host(control, std::move(channels));
  const auto plugin = load(request, file, host);
  reply(plugin, host);
  if (!plugin.ok()) return 1;
  for (;;) {
    absl::StatusOr<Frame> frame = control.receive();
    // The host has ended, or has no more use for the plugin: what a thread of it does now is for
    // nobody.
    if (!frame.ok() || frame->kind != Kind::kOpen || frame->descriptors.size() != 2) ::_exit(0);
    std::thread([served = plugin->get(), frame = *std::move(frame)]() mutable {
      served->serve(std::move(frame.descriptors[0]), std::move(frame.descriptors[1]));
    }).detach();
  }
}

}  // namespace
}  // namespace berth::isolation

int main() {
  // For nobody else: without a host's socket there is nothing to do.
  int type = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(berth::isolation::kControlDescriptor, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
    std::fputs("berth-plugin-host is started by berthd; see berth-plugin(7)\n", stderr);
    return 2;
  }
  berth::isolation::inheritCustoms();
  // The control channel is not for what plugins start.
  ::fcntl(berth::isolation::kControlDescriptor, F_SETFD, FD_CLOEXEC);
  return berth::isolation::run();
}
