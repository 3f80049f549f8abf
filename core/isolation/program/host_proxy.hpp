// The host's function table, as the plugin sees it from within its own process.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "isolation/channel.hpp"
#include "isolation/codec.hpp"

namespace berth::isolation {

// Every function may be called from any thread.
class HostProxy {
 public:
  HostProxy(Channel& control, std::vector<support::Fd> hostChannels);
  HostProxy(const HostProxy&) = delete;
  HostProxy& operator=(const HostProxy&) = delete;

  // Fills the table with what the host says of itself and of the instance.
  void describe(Decoder& in);
  const berth_host* get() const { return &table_; }
  // One frame to the host, without an answer; of a thread that answers a call, before its end.
  void tell(Kind kind, const Encoder& content);
  // One after all that threads which answer no call have told.
  void tellAfterAll(Kind kind, const Encoder& content);

 private:
  static HostProxy& self(void* context) { return *static_cast<HostProxy*>(context); }
  static void log(void* context, berth_log_level level, berth_str message, const berth_pair* fields,
                  size_t count);
  static void emit(void* context, const berth_event* event);
  static berth_code saveState(void* context, berth_str object, berth_bytes state,
                              berth_error* error);
  static berth_code getCredentials(void* context, const berth_op* op, berth_str registry,
                                   void (*found)(void*, const berth_credentials*), void* user,
                                   berth_error* error);
  // Tells what body(encoder), which returns the kind, makes of the arguments of that function; logs
  // why where it throws.
  template <class Body>
  void hand(std::string_view function, Body body);
  absl::StatusOr<Frame> ask(Kind kind, const Encoder& content);

  Channel& control_;
  std::mutex controlMutex_;
  std::vector<std::unique_ptr<Channel>> channels_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<Channel*> idle_;
  std::string version_, instance_, root_, state_;
  berth_host table_{};
};

}  // namespace berth::isolation
