#include "engine/spec/stop_signal.hpp"

#include <csignal>
#include <optional>
#include <string>
#include <string_view>

#include <absl/strings/str_replace.h>

#include "berth/support/status.hpp"
#include "common/text.hpp"

namespace berth::spec {
namespace {

using runtime::v1::Signal;

// The C library keeps 32 and 33 to itself, and with musl 34: images mean the kernel's numbering as
// glibc shows it.
constexpr int kRealTimeMinimum = 34;
constexpr int kRealTimeMaximum = 64;

struct Named {
  std::string_view name;
  int number;
};
constexpr Named kNames[] = {{"ABRT", SIGABRT},
                            {"ALRM", SIGALRM},
                            {"BUS", SIGBUS},
                            {"CHLD", SIGCHLD},
                            {"CLD", SIGCHLD},
                            {"CONT", SIGCONT},
                            {"FPE", SIGFPE},
                            {"HUP", SIGHUP},
                            {"ILL", SIGILL},
                            {"INT", SIGINT},
                            {"IO", SIGIO},
                            {"IOT", SIGIOT},
                            {"KILL", SIGKILL},
                            {"PIPE", SIGPIPE},
                            {"POLL", SIGPOLL},
                            {"PROF", SIGPROF},
                            {"PWR", SIGPWR},
                            {"QUIT", SIGQUIT},
                            {"SEGV", SIGSEGV},
#ifdef SIGSTKFLT
                            {"STKFLT", SIGSTKFLT},
#endif
                            {"STOP", SIGSTOP},
                            {"SYS", SIGSYS},
                            {"TERM", SIGTERM},
                            {"TRAP", SIGTRAP},
                            {"TSTP", SIGTSTP},
                            {"TTIN", SIGTTIN},
                            {"TTOU", SIGTTOU},
                            {"URG", SIGURG},
                            {"USR1", SIGUSR1},
                            {"USR2", SIGUSR2},
                            {"VTALRM", SIGVTALRM},
                            {"WINCH", SIGWINCH},
                            {"XCPU", SIGXCPU},
                            {"XFSZ", SIGXFSZ},
                            {"RTMIN", kRealTimeMinimum},
                            {"RTMAX", kRealTimeMaximum}};

std::optional<int> inRange(int number) {
  if (number < 1 || number > kRealTimeMaximum) return std::nullopt;
  return number;
}

std::optional<int> parse(std::string_view given) {
  const std::string upper = common::upperCase(common::trimmed(given));
  std::string_view text = upper;
  if (const auto number = common::parseNumber<int>(text)) return inRange(*number);
  common::consumePrefix(text, "SIG");
  for (const Named& known : kNames)
    if (text == known.name) return known.number;
  const bool fromMinimum = common::consumePrefix(text, "RTMIN+");
  if (!fromMinimum && !common::consumePrefix(text, "RTMAX-")) return std::nullopt;
  const auto offset = common::parseNumber<int>(text);
  if (!offset || *offset < 0 || *offset > kRealTimeMaximum - kRealTimeMinimum) return std::nullopt;
  return fromMinimum ? kRealTimeMinimum + *offset : kRealTimeMaximum - *offset;
}

// The CRI's names are "SIGNAL_SIGTERM" and "SIGNAL_SIGRTMINPLUS3".
std::optional<int> numberOf(Signal signal) {
  constexpr std::string_view kPrefix = "SIGNAL_";
  const std::string name =
      absl::StrReplaceAll(runtime::v1::Signal_Name(signal), {{"PLUS", "+"}, {"MINUS", "-"}});
  return name.starts_with(kPrefix) ? parse(std::string_view(name).substr(kPrefix.size()))
                                   : std::nullopt;
}

}  // namespace

absl::StatusOr<int> stopSignal(const runtime::v1::ContainerConfig& config,
                               const common::ImageConfig& image) {
  if (config.stop_signal() != runtime::v1::SIGNAL_RUNTIME_DEFAULT) {
    if (const std::optional<int> number = numberOf(config.stop_signal())) return *number;
    return absl::InvalidArgumentError(
        support::strCat("stop_signal ", static_cast<int>(config.stop_signal()), " is unknown"));
  }
  if (image.stopSignal.empty()) return SIGTERM;
  if (const std::optional<int> number = parse(image.stopSignal)) return *number;
  return absl::InvalidArgumentError(
      support::strCat("the image's StopSignal \"", image.stopSignal, "\" is no signal"));
}

Signal criSignal(int number) {
  for (int value = 1; value < runtime::v1::Signal_ARRAYSIZE; ++value)
    if (runtime::v1::Signal_IsValid(value) && numberOf(static_cast<Signal>(value)) == number)
      return static_cast<Signal>(value);
  return runtime::v1::SIGNAL_RUNTIME_DEFAULT;
}

}  // namespace berth::spec
