// The ends of a session's streams and of a container's input: non-blocking, with bounded backlogs.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "berth/streams/loop.hpp"

namespace berth::streams {

// Bytes that wait for somebody who does not read; at this many the producer is paused.
inline constexpr size_t kBacklogLimit = 64u << 10;
// How long that may last for one of them.
inline constexpr int64_t kStuckAfterNs = 30'000'000'000;
// For those whose producer may wait as long as they like.
inline constexpr int64_t kNeverStuck = 0;

class SinkListener {
 public:
  virtual void onSinkSpace() = 0;  // it was full and is no longer
  virtual void onSinkGone() = 0;   // closed: by the other side, by finish(), or as stuck

 protected:
  ~SinkListener() = default;
};

// Writes output to a client. While it is full, whoever offers should pause. A client that leaves it
// full for `stuckAfterNs`, however little it takes meanwhile, is given up, so that it cannot stop a
// container for good; with kNeverStuck it is not.
class Sink final : Watcher, Timer {
 public:
  Sink(Loop& loop, SinkListener& listener, Fd fd, int64_t stuckAfterNs);
  ~Sink() { close(); }
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;

  // Never blocks and never refuses, also past the limit.
  void offer(std::string_view data);
  bool full() const { return waiting() >= kBacklogLimit; }
  // Bytes that are not written yet.
  size_t waiting() const { return backlog_.size() - sent_; }
  bool gone() const { return !fd_; }
  // Of memory, for what waits.
  size_t held() const { return backlog_.size(); }
  // Closes when the backlog is written.
  void finish();

 private:
  void onReady(uint32_t events) override;
  void onTimer() override;
  void giveUpLater();
  // Bytes written, 0 when it would block; closes on errors.
  size_t writeSome(std::string_view data);
  void flush();
  void close();
  void closeAndTell();

  Loop& loop_;
  SinkListener& listener_;
  Fd fd_;
  const int64_t stuckAfterNs_;
  std::string backlog_;
  size_t sent_ = 0;  // of backlog_
  bool watched_ = false;
  bool finishing_ = false;
};

class InputListener {
 public:
  virtual void onInputSpace() = 0;  // it was full and is no longer, or is closed

 protected:
  ~InputListener() = default;
};

// Writes input to a container's stdin: a pipe, a terminal, or a FIFO that another process opens.
class InputPipe final : Watcher, Timer {
 public:
  // `standIn`, where there is one, is an end for reading of the same FIFO, whose reader opens it
  // whenever it likes. What a FIFO holds is lost with its last end, and who opens one that nobody
  // writes to waits for ever: so this one then stays open until the reader has all of the input.
  InputPipe(Loop& loop, InputListener& listener, Fd fd, Fd standIn = Fd());
  ~InputPipe() { close(); }
  InputPipe(const InputPipe&) = delete;
  InputPipe& operator=(const InputPipe&) = delete;

  // Dropped when it is closed.
  void push(std::string_view data);
  bool full() const { return backlog_.size() >= kBacklogLimit; }
  bool isOpen() const { return static_cast<bool>(fd_); }
  // Closes when the backlog is written and, where its reader comes later, read.
  void finish();

 private:
  void onReady(uint32_t events) override;
  void onTimer() override;
  void flush();
  void closeOnceRead();
  bool isRead() const;
  void close();

  Loop& loop_;
  InputListener& listener_;
  Fd fd_;
  Fd standIn_;
  const bool readerComesLater_;
  int64_t pauseNs_ = 0;  // before the next look at what the FIFO holds
  std::string backlog_;
  bool watched_ = false;
  bool finishing_ = false;
};

class SourceListener {
 public:
  virtual void onSourceData(std::string_view data) = 0;
  virtual void onSourceEnd() = 0;  // the last call

 protected:
  ~SourceListener() = default;
};

// Reads a client's input.
class Source final : Watcher, Timer {
 public:
  Source(Loop& loop, SourceListener& listener, Fd fd);
  ~Source() { close(); }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  void pause();
  void resume();

 private:
  void onReady(uint32_t events) override;
  void onTimer() override;
  void close();

  Loop& loop_;
  SourceListener& listener_;
  Fd fd_;
  bool watched_ = false;
};

void setNonBlocking(int fd);

// The buffer of the moment, shared by all readers: what is read is passed on before the next read.
struct Scratch {
  static constexpr size_t kSize = 32u << 10;
  static char bytes[kSize];
};

}  // namespace berth::streams
