// A container's log in the format the kubelet reads:
//   <RFC 3339 time, nanoseconds, UTC> <stdout|stderr> <P|F> <content>\n
// (Kubernetes, "CRI container log format"). F ends a line of the container's output; P is a part
// of one that goes on in the next record of the same stream.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <sys/uio.h>

#include "berth/streams/status.hpp"
#include "berth/support/fd.hpp"

namespace berth::streams {

// The file. Writing never fails the caller: what the disk does not take is dropped and counted,
// by whole records.
class LogFile {
 public:
  // An empty path discards everything. On an error the former file stays in use.
  Status open(const std::string& path);
  const std::string& path() const { return path_; }

  // Whole records.
  void write(const iovec* parts, int count);
  uint64_t droppedBytes() const { return dropped_; }

 private:
  void drop(size_t written, size_t total);

  std::string path_;
  support::Fd fd_;
  uint64_t dropped_ = 0;
};

// One stream's way into the file. Lines of up to kMaxLine bytes become one record however many
// writes they came in: the start of a line waits here for its end.
class LogStream {
 public:
  enum class Kind : uint8_t { kStdout, kStderr };
  // Of content in one record; longer lines are split.
  static constexpr size_t kMaxLine = 16u << 10;

  LogStream(LogFile& file, Kind kind) : file_(file), kind_(kind) {}

  // `now`: realtime ns, the records' time.
  void write(std::string_view data, int64_t now);
  // Writes the start of a line that waits for its end, as a part: the stream is at its end, or the
  // container has exited.
  void flush(int64_t now);

 private:
  class Batch;

  void take(std::string_view& data, Batch& batch);

  LogFile& file_;
  Kind kind_;
  std::string pending_;
};

// "2006-01-02T15:04:05.999999999Z", always 30 characters.
void formatTime(int64_t realtimeNs, char* out);
inline constexpr size_t kTimeLength = 30;

}  // namespace berth::streams
