// What every part of the monitor shares.
#pragma once

#include <cstdint>
#include <string>

#include "../protocol/messages.hpp"
#include "reaper.hpp"
#include "runtime_program.hpp"
#include "streams.hpp"

namespace berth::runc::monitor {

inline constexpr const char* kSocketName = "sock";

// Where an answer goes. The connection may be gone by then.
struct ReplyTo {
  uint64_t connection = 0;
  uint32_t request = 0;
  protocol::Type type{};
};

// The way to the clients.
class Outlet {
 public:
  virtual void send(const ReplyTo& to, std::string frame) = 0;
  virtual void tellSubscribers(std::string frame) = 0;
  virtual bool connected(uint64_t connection) const = 0;
  // Something that the state file shows has changed.
  virtual void stateChanged() = 0;

 protected:
  ~Outlet() = default;
};

struct Context {
  Loop loop;
  Reaper reaper{loop};
  protocol::StartRequest config;
  protocol::PodFacts facts;
  Fd runDir;
  RuntimeProgram runtime;
  Outlet* outlet = nullptr;

  // A number for the names of an operation's files.
  uint32_t nextSerial() { return ++serial_; }
  // A line in monitor.log, which is only made for this.
  void logError(const Status& status);

 private:
  uint32_t serial_ = 0;
};

template <typename Reply>
void answer(Context& context, const ReplyTo& to, const Reply& reply) {
  context.outlet->send(to, protocol::encodeFrame({to.type, protocol::kReply, to.request}, reply));
}
inline void answerStatus(Context& context, const ReplyTo& to, const Status& status) {
  answer(context, to, protocol::PlainReply{status});
}

}  // namespace berth::runc::monitor
