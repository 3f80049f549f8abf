// One pod: its shim's connection, what is known of its containers, and the thread that hears of
// their ends.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "berth/plugin.hpp"
#include "berth/support/clock.hpp"
#include "berth/support/fd.hpp"
#include "keeper_client.hpp"
#include "records.hpp"
#include "shim_times.hpp"
#include "task_client.hpp"

namespace berth::kata {

// Told from the pod's own thread.
class PodListener {
 public:
  virtual void onContainerExited(const std::string& pod, const ContainerRecord& container) = 0;
  virtual void onContainerOom(const std::string& pod, const std::string& container) = 0;
  // Its shim, or its sandbox, has ended though nobody ended it. By now nothing of it runs any more,
  // as far as that could be brought about.
  virtual void onPodLost(const std::string& pod, const std::string& reason) = 0;
  virtual void warn(const std::string& pod, std::string_view what, const absl::Status& why) = 0;

 protected:
  ~PodListener() = default;
};

// A process of which the end is waited for: a container, or what is executed in one.
struct Awaited {
  // An eventfd that stays readable once it has ended, or nobody will hear of it.
  support::Fd ended;
  int exitCode = 0;    // these are guarded by the pod
  bool known = false;  // whether the exit code is
  int64_t exitedAt = 0;
};

struct Container : Awaited {
  ContainerRecord record;  // guarded by the pod
};

struct Exec : Awaited {
  std::string container;
  std::string id;
  support::Fd keeper;    // a connection to the one that has its streams: they go with that
  bool started = false;  // these are guarded by the pod
  bool inputEnded = false;
  bool awaited = false;  // its end has been asked for, and will be answered

  std::string key() const { return container + "." + id; }
  // Those of a call that comes to nothing without its streams: it ends with their keeper.
  CallLimits withStreams(CallLimits limits) const;
};

// The last line of the shim's log.
std::string exitMessageOf(const PodRecord& pod);
// The reason, and that line behind it.
std::string withExitMessage(const std::string& reason, const PodRecord& pod);

// Thread-safe. The lock is held for memory accesses alone, never over a call.
class Pod final {
 public:
  // RESOURCE_EXHAUSTED without a descriptor.
  static absl::StatusOr<std::shared_ptr<Pod>> make(PodRecord record, PodListener& listener);
  ~Pod();
  Pod(const Pod&) = delete;
  Pod& operator=(const Pod&) = delete;

  const std::string& id() const { return id_; }
  PodRecord record() const;
  // Changes it and keeps it durably.
  absl::Status changeRecord(const std::function<void(PodRecord&)>& change);
  KeeperClient keeper() const { return KeeperClient(keeperDirectory_); }
  ShimCall shimCall(std::string_view container, std::string_view bundle) const;
  std::string fifo(const std::string& key, std::string_view stream) const;

  // Starts a keeper when there is none, and has it open all streams that it lacks; of those that it
  // cannot open it warns, and the pod's thread tries again. FAILED_PRECONDITION when one speaks a
  // version that this plugin does not know.
  absl::Status ensureKeeper(const CallLimits& limits);

  // The connection to the shim, made anew when there is none. UNAVAILABLE when the shim is dead and
  // only then, FAILED_PRECONDITION when it has not been started.
  absl::StatusOr<std::shared_ptr<TaskClient>> shim(const CallLimits& limits);
  bool isDead() const;
  // From here on its end is nothing to tell.
  void beginEnding();
  bool isEnding() const;
  // Held by who ends what the pod has, or a part of it, without its shim: one at a time.
  absl::Status takeEnd(std::unique_lock<std::mutex>& lock, const CallLimits& limits);
  void warn(std::string_view what, const absl::Status& why) const {
    listener_.warn(id_, what, why);
  }

  absl::StatusOr<std::shared_ptr<Container>> add(ContainerRecord record);
  void remove(const std::string& container);
  std::shared_ptr<Container> find(std::string_view container) const;
  std::vector<std::shared_ptr<Container>> containers() const;
  ContainerRecord recordOf(const Container& container) const;
  absl::Status change(Container& container, const std::function<void(ContainerRecord&)>& change);
  // Of a container that has been made, with its first process, and not been started: has the keeper
  // watch its cgroup for kills for want of memory where the shim may be too late for them. Says so
  // where that fails. Which cgroup it is, the record's next change() keeps.
  void watchMemory(Container& container, int64_t pid, const CallLimits& limits);

  absl::StatusOr<std::shared_ptr<Exec>> addExec(std::string_view container, std::string_view id,
                                                support::Fd keeper);
  std::shared_ptr<Exec> findExec(std::string_view container, std::string_view id) const;
  void removeExec(const Exec& exec);
  // For a call that must return: the pod's thread ends the process, once the shim answers.
  void endExecLater(const std::shared_ptr<Exec>& exec);
  // Whether the shim is to be told now that an exec's input has ended: it must have been started.
  bool inputEndIsDue(Exec& exec, bool starts);

  // Asks the shim for its end; whoever waits for `ended` hears of it. Blocks for two seconds at
  // most, whatever time the caller has left: who is not asked for would be taken for lost, or never
  // end.
  void awaitContainer(TaskClient& shim, const std::shared_ptr<Container>& container);
  void awaitExec(TaskClient& shim, const std::shared_ptr<Exec>& exec);
  void awaitSandbox(TaskClient& shim);
  // None while it runs, and when nobody will hear of its end.
  std::optional<int> exitCodeOf(const Exec& exec) const;
  // An eventfd as in Awaited.
  int sandboxEnded() const { return sandbox_.ended.get(); }
  // What the kernel or the shim told of a container's end: all its output is read, it is recorded,
  // told, and those who wait are woken. The first time counts.
  void settleExit(const std::shared_ptr<Container>& container, int exitCode, int64_t exitedAt,
                  std::string_view message);
  // Why a container of this exit code has ended, when it has with the pod's sandbox; else empty.
  // Blocks until the sandbox's end is told as well, for some seconds.
  std::string lossBehind(int exitCode) const;
  // Nobody will hear of anything any more.
  void declareDead();

  // Begins to listen. RESOURCE_EXHAUSTED without a thread.
  absl::Status listen();
  // Hangs up; the shim and its containers go on.
  void close();

 private:
  Pod(PodRecord record, PodListener& listener, support::Fd sandboxEnded);

  struct Task {
    enum class Kind { kExit, kSandboxExit, kBroken, kUnsent, kUnread, kLeftExec, kStop } kind;
    std::shared_ptr<Container> container;
    int exitCode = 0;
    int64_t exitedAt = 0;
    struct Left {
      std::shared_ptr<Exec> exec;
      int attempts = 0;
      enum class Shim { kUnasked, kSilent, kAnswers } shim = Shim::kUnasked;
    } left;
  };

  absl::StatusOr<std::shared_ptr<TaskClient>> connected() const;
  void post(Task task);
  void run();
  bool handle(const Task& task);
  void drainEvents();
  void replaceKeeper();
  void openRest();
  absl::Status openStreams(const std::set<std::string>& open, const CallLimits& limits);
  absl::Status openStreamsOf(const Exec& exec, const CallLimits& limits);
  void onInputEnded(const std::string& key);
  void settleBreak();
  void handleLeftExec(Task::Left left);
  void askForLeftExec(const Task::Left& left);
  absl::Status endLeftExec(const Task::Left& left);
  int pollPatience() const;
  bool needsSandbox() const;
  std::string sandboxLoss() const;
  struct End {
    int exitCode;
    int64_t exitedAt;  // CLOCK_REALTIME, nanoseconds
  };
  using Ends = std::map<std::string, End>;  // by container
  Ends ownEnds();
  // False when the pod is being ended by somebody who does it all. `own` are ends that did not come
  // of the loss.
  bool lose(const std::string& message, const Ends& own = {});
  void settleIfLost(const std::shared_ptr<Container>& container);
  void askAgain(TaskClient& shim);
  bool countsMemoryKill(const std::string& container);
  void wake(const Awaited& awaited) const;

  const std::string id_;
  const std::string keeperDirectory_;
  PodListener& listener_;

  mutable std::mutex mutex_;
  PodRecord record_;
  std::map<std::string, std::shared_ptr<Container>, std::less<>> containers_;
  std::map<std::string, std::shared_ptr<Exec>, std::less<>> execs_;
  bool dead_ = false;
  bool ending_ = false;
  bool lost_ = false;
  std::string lostMessage_;  // once nothing of it runs any more

  std::mutex end_;         // taken before all others
  std::mutex connecting_;  // taken before mutex_, and held until the shim is reached
  std::shared_ptr<TaskClient> shim_;

  Awaited sandbox_;
  bool breakUnsettled_ = false;  // these four are the pod's own thread's
  bool keeperMissing_ = false;
  bool unread_ = false;  // the keeper lacks streams
  std::multimap<std::chrono::steady_clock::time_point, Task::Left> leftExecs_;  // by when due
  std::mutex tasksMutex_;
  std::deque<Task> tasks_;
  support::Fd tasksWake_;
  support::Fd events_;  // of the keeper; the thread's own
  std::thread thread_;
};

}  // namespace berth::kata
