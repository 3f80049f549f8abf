// What a pod's keeper and the plugin say to each other: packets of a SOCK_SEQPACKET connection,
// each a message in protocol buffers' wire format. A request is answered once, in order; who has
// subscribed gets events between the answers. Fields are never renumbered: a keeper outlives
// upgrades of the daemon.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "berth/streams/status.hpp"

namespace berth::kata::keeper {

// The newest protocol that this build speaks, and the oldest that its client does. kList, and the
// version in its answer, are the same in all of them: by these a client learns what it talks to.
// What may be missing raises no version.
inline constexpr uint32_t kVersion = 1;
inline constexpr uint32_t kOldestVersion = 1;
inline constexpr const char* kSocketName = "keeper.sock";
inline constexpr size_t kMaxPacket = 128u << 10;

enum class Operation : uint32_t {
  kOpen = 1,        // opens a process's FIFOs and its log, and reads and writes from here on
  kAttach = 2,      // adds a session; descriptors come along
  kReopenLog = 3,   // `log`, where it is given, else the same path
  kCloseInput = 4,  // once what waits has been written
  kFinish = 5,      // the process has ended: answered when all output has been read, or time is up,
                    // and a bound process's session has it all
  kForget = 6,      // closes everything of the process; fine for one that is not known
  kList = 7,
  kSubscribe = 8,
  kShutDown = 9,
  kWatchMemory = 10,  // `cgroup` is the container's from here on
};

enum class Input : uint32_t {
  kNone = 0,
  kStays = 1,             // open over sessions
  kWithFirstSession = 2,  // closed when a session's input ends
};

enum Descriptors : uint32_t { kInput = 1, kOutput = 2, kError = 4 };

struct Request {
  Operation operation{};
  std::string key;                   // a container's id, or that and an exec's with a dot between
  std::string input, output, error;  // FIFOs; empty: none
  std::string log;                   // empty: no log
  Input inputMode = Input::kNone;
  uint32_t descriptors = 0;  // which came along
  uint32_t timeoutMs = 0;    // of kFinish
  // kFinish: it was killed; until the shim's event of the exit is there, too.
  uint32_t awaitExit = 0;
  uint32_t bound = 0;  // kOpen: the process is one session's, and may wait for it as it likes
  // kWatchMemory, and kOpen for a container that runs: the folder of its cgroup, which is of v2 and
  // its own; kills for want of memory in there are told as if the shim had told them.
  std::string cgroup;
};

struct Entry {
  std::string key;
  uint32_t inputEnded = 0;  // its FIFO has been closed
  uint32_t oomKilled = 0;
};

enum class EventKind : uint32_t { kNone = 0, kInputEnded = 1, kOomKilled = 2 };

// An answer, or an event.
struct Reply {
  streams::Status status;
  std::vector<Entry> entries;  // kList, and kFinish: the one
  EventKind event = EventKind::kNone;
  std::string key;       // the event's
  uint32_t version = 0;  // kList: the keeper's
};

std::string encode(const Request& request);
std::string encode(const Reply& reply);
// False for what is no such message.
bool decode(std::string_view packet, Request& request);
bool decode(std::string_view packet, Reply& reply);

}  // namespace berth::kata::keeper
