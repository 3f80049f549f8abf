// The streams of one process of the pod: a container's first one, or one that is executed.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "berth/streams/io_hub.hpp"
#include "berth/streams/oom_watch.hpp"
#include "protocol.hpp"

namespace berth::kata::keeper {

using streams::Fd;

class Process;

class ProcessListener {
 public:
  // The input's FIFO has been closed, and will stay so.
  virtual void onInputEnded(const std::string& key) = 0;
  virtual void onOomKilled(const std::string& key) = 0;
  // Its sessions have all that was for them, and have ended.
  virtual void onSessionsGone(Process& process) = 0;

 protected:
  ~ProcessListener() = default;
};

class Process final : public streams::Mortal,
                      streams::HubListener,
                      streams::OomListener,
                      streams::Timer {
 public:
  // `oomFile` is there once the process has been killed for want of memory: a keeper that takes
  // over finds it.
  Process(streams::Loop& loop, ProcessListener& listener, std::string key, std::string oomFile,
          bool bound);
  ~Process() override;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // The FIFOs exist. The shim opens its ends whenever it likes.
  streams::Status open(const Request& request);
  streams::Status reopenLog(const std::string& path);
  void attach(Fd in, Fd out, Fd err) { hub_.attach(std::move(in), std::move(out), std::move(err)); }
  void closeInput() { hub_.closeInput(); }
  // The folder of its cgroup, of v2. Repeating it is fine.
  void watchMemory(const std::string& cgroup) {
    memory_.start(streams::CgroupVersion::kV2, cgroup);
  }
  // With `awaitExit` it was killed: whether for want of memory is found out now, if it can be.
  // `done` runs once the output is at its end and, with `awaitExit`, noteExit() was called; or
  // after `timeoutMs`. By then the log has all that was written, and sessions end. The one of a
  // `bound` process has all by then, too, however long it takes. One at a time: another one joins.
  void finish(uint32_t timeoutMs, bool awaitExit, std::function<void()> done);

  void noteExit();
  // The shim has told of a kill. What the watch tells is not told again.
  void noteOomEvent();
  // Its output and its sessions end. Of what is told of it after its end nothing is kept.
  void forget();
  bool hasSessions() const { return hub_.sessions() > 0; }
  Entry entry() const;

 private:
  void onSessionsGone() override;
  void onOutputsEnded() override { finishIfOver(); }
  void onInputEnded() override;
  void onOomKills(uint64_t) override { noteOom(); }
  void onTimer() override;
  void noteOom();
  bool isOver() const;
  void finishIfOver();
  void answer();

  streams::Loop& loop_;
  ProcessListener& listener_;
  const std::string key_;
  const std::string oomFile_;
  const bool bound_;
  streams::LogFile log_;
  streams::IoHub hub_;
  streams::OomWatch memory_;
  bool inputEnded_ = false;
  bool oomKilled_ = false;
  bool exitSeen_ = false;
  bool awaitExit_ = false;
  bool timeIsUp_ = false;
  std::vector<std::function<void()>> waiting_;
};

}  // namespace berth::kata::keeper
