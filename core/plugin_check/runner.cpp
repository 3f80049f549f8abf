#include "plugin_check/runner.hpp"

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <absl/strings/str_split.h>
#include <boost/json.hpp>

#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/process.hpp"
#include "berth/support/status.hpp"
#include "plugin_check/child.hpp"
#include "plugin_check/descendants.hpp"
#include "plugin_check/sanitizer.hpp"

namespace berth::check {

namespace json = boost::json;
using support::strCat;

namespace {

constexpr size_t kShownErrors = 4000;  // bytes
constexpr auto kLinger = std::chrono::seconds(5);

// What a check has written down.
struct Record {
  std::vector<std::string> failures, warnings, skips;
  std::string step;
  bool done = false;
};

Record readRecord(const std::string& folder) {
  Record record;
  const auto text = support::readFile(strCat(folder, "/", kRecordName));
  if (!text.ok()) return record;
  for (const auto line : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
    const auto parsed = support::parseJson(support::fromAbsl(line), "record");
    if (!parsed.ok() || !parsed->is_array() || parsed->get_array().size() != 2) continue;
    const std::string kind = json::value_to<std::string>(parsed->get_array()[0]);
    std::string told = json::value_to<std::string>(parsed->get_array()[1]);
    if (kind == "step") {
      record.step = std::move(told);
    } else if (kind == "fail") {
      record.failures.push_back(std::move(told));
    } else if (kind == "warn") {
      record.warnings.push_back(std::move(told));
    } else if (kind == "skip") {
      record.skips.push_back(std::move(told));
    } else if (kind == "done") {
      record.done = true;
    }
  }
  return record;
}

std::string during(const Record& record) {
  return record.step.empty() ? std::string(" before anything was done")
                             : strCat(" in the step: ", record.step);
}

// While it exists the signals by which people give a command up do not end this process, which has
// a child to end and a folder to remove first.
class Interruption {
 public:
  Interruption() {
    sigemptyset(&signals_);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals_, number);
    ::pthread_sigmask(SIG_BLOCK, &signals_, &before_);
    fd_ = support::Fd(::signalfd(-1, &signals_, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;
  ~Interruption() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  int fd() const { return fd_.get(); }
  bool happened() {
    signalfd_siginfo info{};
    if (number_ == 0 && ::read(fd_.get(), &info, sizeof info) == sizeof info)
      number_ = static_cast<int>(info.ssi_signo);
    return number_ != 0;
  }
  // As the signal would have.
  void endProcess() {
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    ::raise(number_);
  }

 private:
  sigset_t signals_{}, before_{};
  support::Fd fd_;
  int number_ = 0;
};

// How the process ended; empty when it ended by itself with success.
std::string endOf(const support::Process& process, int64_t milliseconds,
                  Interruption& interruption) {
  pollfd polled[] = {{.fd = process.pidfd(), .events = POLLIN, .revents = 0},
                     {.fd = interruption.fd(), .events = POLLIN, .revents = 0}};
  int ready = 0;
  do {
    ready = ::poll(polled, std::size(polled), static_cast<int>(milliseconds));
  } while (ready < 0 && errno == EINTR);
  if (interruption.happened()) return "was interrupted";
  if (ready == 0) return strCat("did not end within ", milliseconds / 1000, " s; it was killed");
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(process.pidfd()), &info, WEXITED | WNOWAIT) != 0)
    return strCat("cannot be waited for: ", std::strerror(errno));
  if (info.si_code == CLD_EXITED && info.si_status == 0) return {};
  if (info.si_code == CLD_EXITED)
    return strCat("the process ended with the exit code ", info.si_status);
  return strCat("the process was ended by signal ", info.si_status, " (",
                std::string(::sigabbrev_np(info.si_status)), ", ",
                std::string(::strsignal(info.si_status)), ")");
}

void judge(Result& result, const Record& record, const std::string& end) {
  result.reasons = record.failures;
  if (!end.empty()) {
    result.reasons.push_back(strCat(end, during(record)));
  } else if (!record.done) {
    result.reasons.push_back(strCat("the plugin ended the process", during(record)));
  }
  if (!result.reasons.empty()) {
    result.outcome = result.check.advice ? Outcome::kWarned : Outcome::kFailed;
  } else if (!record.skips.empty()) {
    result.outcome = Outcome::kSkipped;
    result.reasons = record.skips;
  } else if (!record.warnings.empty()) {
    result.outcome = Outcome::kWarned;
    result.reasons = record.warnings;
  }
}

std::string lastErrors(const std::string& folder) {
  auto text = support::readFile(strCat(folder, "/", kErrorsName));
  if (!text.ok()) return {};
  if (text->size() > kShownErrors) text->erase(0, text->size() - kShownErrors);
  return *text;
}

absl::StatusOr<Result> runOne(const Check& check, const Settings& settings,
                              const std::string& folder, Interruption& interruption) {
  BERTH_RETURN_IF_ERROR(support::makeDirectories(folder, 0755));
  BERTH_RETURN_IF_ERROR(support::replaceFile(strCat(folder, "/", kSettingsName),
                                             json::serialize(toJson(settings)), 0600,
                                             support::Durability::kVisible));
  BERTH_ASSIGN_OR_RETURN(
      const support::Fd errors,
      support::openFile(strCat(folder, "/", kErrorsName), O_WRONLY | O_CREAT | O_APPEND));
  Result result{.check = check};
  support::Command command;
  command.argv = childArguments({folder, std::string(check.name), ""});
  const bool ofMemory = check.name.starts_with("memory.");
  command.environment =
      environmentFor(settings.file, ofMemory ? Leaks::kReported : Leaks::kIgnored);
  command.standardOutput = errors.get();
  command.standardError = errors.get();
  command.newSession = true;
  const auto begun = std::chrono::steady_clock::now();
  BERTH_ASSIGN_OR_RETURN(support::Process process, support::spawn(command));
  const std::string end = endOf(process, settings.timeLimit * 1000 * check.patience, interruption);
  process = support::Process();
  result.took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - begun);
  // What the plugin's processes do after the end of their pods takes a moment.
  const std::vector<std::string> left = endDescendants(end.empty() ? kLinger : kLinger / 20);
  Record record = readRecord(folder);
  for (const std::string& one : left) {
    if (end.empty()) record.failures.push_back(strCat("leaves a process behind: ", one));
  }
  judge(result, record, end);
  result.errors = lastErrors(folder);
  return result;
}

}  // namespace

std::string_view outcomeName(Outcome outcome) {
  switch (outcome) {
    case Outcome::kPassed:
      return "passed";
    case Outcome::kWarned:
      return "warned";
    case Outcome::kFailed:
      return "FAILED";
    case Outcome::kSkipped:
      return "skipped";
  }
  return "";
}

absl::StatusOr<std::vector<Result>> runChecks(const std::vector<Check>& checks, Settings settings,
                                              const std::function<void(const Result&)>& done) {
  // What the plugin starts and leaves comes to this process, which ends it.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  Interruption interruption;
  const char* base = std::getenv("TMPDIR");
  std::string root = strCat(base != nullptr ? base : "/tmp", "/berth-check-XXXXXX");
  if (::mkdtemp(root.data()) == nullptr) return support::errnoStatus(errno, strCat("make ", root));
  std::vector<Result> results;
  absl::Status status;
  for (const Check& check : checks) {
    // Short: plugins make sockets below it, whose paths have 107 bytes.
    const std::string folder = strCat(root, "/", results.size());
    auto result = runOne(check, settings, folder, interruption);
    const absl::Status removed = support::removeTree(folder);
    if (interruption.happened()) break;
    if (!result.ok()) {
      status = support::annotate(result.status(), check.name);
      break;
    }
    if (!removed.ok()) {
      result->outcome = Outcome::kFailed;
      result->reasons.push_back(strCat("leaves what cannot be removed: ", removed.message()));
    }
    if (result->outcome == Outcome::kFailed) settings.failed.emplace_back(check.name);
    done(*result);
    results.push_back(*std::move(result));
  }
  support::removeTree(root).IgnoreError();
  if (interruption.happened()) interruption.endProcess();
  if (!status.ok()) return status;
  return results;
}

}  // namespace berth::check
