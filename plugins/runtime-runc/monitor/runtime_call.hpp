// One run of the OCI runtime binary.
#pragma once

#include <string>
#include <vector>

#include "context.hpp"
#include "process.hpp"

namespace berth::runc::monitor {

class RuntimeListener {
 public:
  // Not OK carries the runtime's own words.
  virtual void onRuntimeDone(Status status) = 0;

 protected:
  ~RuntimeListener() = default;
};

class RuntimeCall final : ChildWatcher {
 public:
  RuntimeCall(Context& context, RuntimeListener& listener)
      : context_(context), listener_(listener) {}
  ~RuntimeCall();
  RuntimeCall(const RuntimeCall&) = delete;
  RuntimeCall& operator=(const RuntimeCall&) = delete;

  // Runs `<runtime> --root R [global] --log LOG --log-format json ARGUMENTS…`. `what` names it in
  // errors ("start container x"). When the runtime's log stays empty the error's text is what it
  // wrote to stderr: to a file of this object's own when stdio.err is -1, else to the pipe whose
  // read end (borrowed until the call has ended; -1: none) is `stderrReader`. From here until its
  // end, orphans' exits are kept for adopt().
  Status start(const std::string& what, const std::string& log,
               const std::vector<std::string>& arguments, const Stdio& stdio,
               int stderrReader = -1);
  bool running() const { return pid_ != 0; }
  // Kills it with all it has started; the listener hears of it as CANCELLED.
  void abort();

 private:
  void onChildExit(pid_t pid, int status, int64_t at) override;
  Status statusOf(int status) const;
  std::string errorText() const;

  Context& context_;
  RuntimeListener& listener_;
  std::string what_;
  std::string log_;
  Fd stderr_;  // a memory file
  int stderrReader_ = -1;
  pid_t pid_ = 0;
  UnknownExits::Call reaped_ = 0;  // while it runs: the reaper's
  bool aborted_ = false;
};

// The file into which the runtime writes a process's pid; removed with this object.
class PidFile {
 public:
  explicit PidFile(Context& context);
  ~PidFile();
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;

  std::string path() const;
  // 0 when there is none.
  pid_t pid() const;

 private:
  Context& context_;
  std::string name_;
};

// The "msg" of the last error in a runtime's JSON log, or what an unstructured text says;
// empty when it says nothing.
std::string lastErrorIn(std::string_view log);

}  // namespace berth::runc::monitor
