#include "berth/streams/cri_log.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/support/steps.hpp"

namespace berth::streams {

namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;

void putDigits(char* at, int64_t value, int digits) {
  for (int i = digits; i-- > 0; value /= 10) at[i] = static_cast<char>('0' + value % 10);
}

struct Date {
  int64_t year;
  int64_t month;
  int64_t day;
};

// Days since 1970-01-01 to the Gregorian date, counting years from March so that the leap day is
// the last (gmtime_r would read the time zone's files).
Date dateOf(int64_t days) {
  days += 719468;  // from 0000-03-01
  const int64_t era = days / 146097;
  const int64_t dayOfEra = days % 146097;
  const int64_t yearOfEra =
      (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146096) / 365;
  const int64_t dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
  const int64_t shifted = (5 * dayOfYear + 2) / 153;
  const int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
  return {era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month,
          dayOfYear - (153 * shifted + 2) / 5 + 1};
}

}  // namespace

void formatTime(int64_t realtimeNs, char* out) {
  const int64_t seconds = realtimeNs / kNsPerSecond;
  const Date date = dateOf(seconds / 86400);
  const int64_t second = seconds % 86400;
  memcpy(out, "0000-00-00T00:00:00.000000000Z", kTimeLength);
  putDigits(out, date.year, 4);
  putDigits(out + 5, date.month, 2);
  putDigits(out + 8, date.day, 2);
  putDigits(out + 11, second / 3600, 2);
  putDigits(out + 14, second / 60 % 60, 2);
  putDigits(out + 17, second % 60, 2);
  putDigits(out + 20, realtimeNs % kNsPerSecond, 9);
}

Status LogFile::open(const std::string& path) {
  support::Fd file;
  if (!path.empty()) {
    // O_NONBLOCK: a FIFO without reader must not stop the program.
    file.reset(support::steps::create(
        path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640));
    if (!file) return errnoFailure(errno, {"open the container log ", path});
  }
  fd_ = std::move(file);
  path_ = path;
  return {};
}

void LogFile::write(const iovec* parts, int count) {
  if (!fd_) return;
  size_t total = 0;
  for (int i = 0; i < count; ++i) total += parts[i].iov_len;
  ssize_t written = 0;
  do {
    written = writev(fd_.get(), parts, count);
  } while (written < 0 && errno == EINTR);
  const size_t done = written > 0 ? static_cast<size_t>(written) : 0;
  if (done < total) drop(done, total);
}

void LogFile::drop(size_t written, size_t total) {
  dropped_ += total;
  if (written == 0) return;
  // The disk took a part of the batch: take it back, so that the file holds whole records only.
  struct stat info {};
  if (fstat(fd_.get(), &info) != 0 || !S_ISREG(info.st_mode)) return;
  if (info.st_size >= static_cast<off_t>(written)) {
    if (ftruncate(fd_.get(), info.st_size - static_cast<off_t>(written)) != 0) return;
  }
}

// Records gathered for one writev().
class LogStream::Batch {
 public:
  Batch(LogFile& file, Kind kind, int64_t now) : file_(file) {
    formatTime(now, prefix_);
    memcpy(prefix_ + kTimeLength, kind == Kind::kStdout ? " stdout F " : " stderr F ", 10);
    memcpy(partial_, prefix_, sizeof prefix_);
    partial_[sizeof prefix_ - 2] = 'P';
  }
  ~Batch() { flush(); }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  void add(char tag, std::string_view content) {
    if (count_ + 3 > kMost) flush();
    put(std::string_view(tag == 'F' ? prefix_ : partial_, sizeof prefix_));
    put(content);
    put("\n");
  }
  void flush() {
    if (count_ > 0) file_.write(parts_, count_);
    count_ = 0;
  }

 private:
  void put(std::string_view bytes) {
    parts_[count_].iov_base = const_cast<char*>(bytes.data());  // NOLINT: writev only reads
    parts_[count_].iov_len = bytes.size();
    ++count_;
  }

  static constexpr int kMost = 96;
  LogFile& file_;
  char prefix_[kTimeLength + 10];
  char partial_[kTimeLength + 10];
  iovec parts_[kMost];
  int count_ = 0;
};

void LogStream::write(std::string_view data, int64_t now) {
  if (file_.path().empty() || data.empty()) return;
  Batch batch(file_, kind_, now);
  while (!data.empty()) take(data, batch);
}

// Takes one line, or a part of one, off `data`.
void LogStream::take(std::string_view& data, Batch& batch) {
  const size_t newline = data.find('\n');
  const bool ends = newline != std::string_view::npos;
  const size_t length = ends ? newline : data.size();
  const size_t space = kMaxLine - pending_.size();

  if (length > space) {
    // The line is too long: this much of it, and the rest in further records.
    if (pending_.empty()) {
      batch.add('P', data.substr(0, space));
    } else {
      pending_.append(data.substr(0, space));
      batch.add('P', pending_);
      batch.flush();
      pending_.clear();
    }
    data.remove_prefix(space);
    return;
  }
  if (!ends) {
    pending_.append(data);
    data = {};
    return;
  }
  if (pending_.empty()) {
    batch.add('F', data.substr(0, length));
  } else {
    pending_.append(data.substr(0, length));
    batch.add('F', pending_);
    batch.flush();
    // Gives the memory back: most containers never have an unfinished line again.
    std::string().swap(pending_);
  }
  data.remove_prefix(length + 1);
}

void LogStream::flush(int64_t now) {
  if (pending_.empty()) return;
  Batch batch(file_, kind_, now);
  batch.add('P', pending_);
  batch.flush();
  std::string().swap(pending_);
}

}  // namespace berth::streams
