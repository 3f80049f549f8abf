// A process's streams: its output goes to the log and to every session; sessions feed its input.
#pragma once

#include <memory>
#include <vector>

#include "berth/streams/channel.hpp"
#include "berth/streams/cri_log.hpp"

namespace berth::streams {

class HubListener {
 public:
  virtual void onSessionsGone() = 0;  // the last one ended
  virtual void onOutputsEnded() {}    // the last one did: nothing more can come
  virtual void onInputEnded() {}      // closed, after all that was to be written

 protected:
  ~HubListener() = default;
};

enum class InputEnd : uint8_t {
  kStays,             // input stays open over sessions
  kWithFirstSession,  // it is closed when a session's input ends
};

// Nothing written by the process is lost to a session: while one is full (see Sink), the stream is
// not read. The log never waits for anything but the disk.
class IoHub final : public InputListener {
 public:
  // `stuckAfterNs`: see Sink.
  IoHub(Loop& loop, HubListener& listener, int64_t stuckAfterNs = kStuckAfterNs);
  ~IoHub();
  IoHub(const IoHub&) = delete;
  IoHub& operator=(const IoHub&) = delete;

  // `log` may be null; else it outlives the hub.
  void openOutput(LogStream::Kind kind, Fd fd, LogFile* log);
  // `standIn`: see InputPipe.
  void openInput(Fd fd, InputEnd end, Fd standIn = Fd());
  void closeInput();

  // Descriptors that are not open are left out.
  void attach(Fd in, Fd out, Fd err);
  size_t sessions() const;
  // Whether any output may still bring something.
  bool outputsOpen() const;

  // The process is dead, but what it has written still comes by way of others: its sessions do not
  // hold that up any more, unless one is kRestLimit behind.
  void awaitRest();
  // The process is dead: passes on what it has written (what stands in the pipes now, however long
  // others hold them open).
  void drain();
  // Ends the sessions, each with its last byte. Output of processes that a dead one left behind
  // still goes to the log.
  void endSessions();
  // Takes nothing more in. Sessions that were ended go on until they have their last byte.
  void closeOutputs();

  // Bytes: more than the pipes between a process and its hub hold.
  static constexpr size_t kRestLimit = 1u << 20;

 private:
  class Output;
  class Session;

  void distribute(LogStream::Kind kind, std::string_view data);
  bool mustPause(LogStream::Kind kind) const;
  void resumeOutputs();
  void pushInput(std::string_view data);
  void sessionInputEnded();
  void dropEndedSessions();
  void outputEnded();
  void tellInputEnd();
  void onInputSpace() override;

  Loop& loop_;
  HubListener& listener_;
  const int64_t stuckAfterNs_;
  size_t pausesAt_ = kBacklogLimit;
  std::vector<std::unique_ptr<Output>> outputs_;
  std::vector<std::unique_ptr<Session>> sessions_;
  std::unique_ptr<InputPipe> input_;
  InputEnd inputEnd_ = InputEnd::kStays;
  bool exited_ = false;
  bool inputEndTold_ = false;
  int busy_ = 0;  // in a loop over the sessions: none is removed
};

}  // namespace berth::streams
