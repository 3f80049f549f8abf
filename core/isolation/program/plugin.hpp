// The plugin of this process: loaded, and answering the host's calls.
#pragma once

#include <array>
#include <memory>

#include "isolation/channel.hpp"
#include "isolation/description.hpp"
#include "isolation/held.hpp"
#include "isolation/program/host_proxy.hpp"
#include "plugins/library.hpp"

namespace berth::isolation {

class Plugin {
 public:
  // As the host itself would load it.
  // `file`: what the path led to at first, if anything.
  static absl::StatusOr<std::unique_ptr<Plugin>> load(const LoadRequest& request,
                                                      const support::Fd& file, HostProxy& host);

  Description description() const;
  // Answers frames of the host until it closes the channel. `cancel` becomes readable when the call
  // under way is to end.
  void serve(support::Fd socket, support::Fd cancel);

 private:
  Plugin(std::shared_ptr<const plugins::Library> library, HostProxy& host)
      : library_(std::move(library)), host_(host) {}
  // False: not understood.
  bool answer(Frame& frame, Asked& asked, Encoder& out);
  bool call(uint16_t number, Decoder& in, Asked& asked, Encoder& out);
  bool create(Decoder& in, Encoder& out);
  bool extension(uint16_t number, Decoder& in, Encoder& out);
  const void* findExtension(std::string_view id, uint32_t revision);
  void awaitPredecessor();

  const std::shared_ptr<const plugins::Library> library_;
  HostProxy& host_;
  void* instance_ = nullptr;
  // The tables there are, in the order of Tables. Written before they are called.
  std::array<const void*, kTableCount> tables_{};
  std::mutex mutex_;     // of tables_, once there are several channels
  uint32_t number_ = 0;  // of its place
  bool alone_ = true;    // no other process of the instance is to be there
  support::Fd place_;    // whose lock says that this process has the instance's directories
};

}  // namespace berth::isolation
