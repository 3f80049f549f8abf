#include <array>

#include "berth/support/status.hpp"
#include "common/text.hpp"
#include "engine/spec/security.hpp"

namespace berth::spec {
namespace {

using runtime::v1::SELinuxOption;

constexpr std::string_view kProcessType = "container_t";
constexpr std::string_view kFileType = "container_file_t";
constexpr std::string_view kPrivilegedType = "spc_t";
constexpr std::string_view kLowestLevel = "s0";
constexpr int kMaximumSensitivity = 15;
constexpr int kMaximumCategory = 1023;

bool isIdentifier(std::string_view text) {
  for (char c : text)
    if (!common::isAlphanumeric(c) && c != '_' && c != '-' && c != '.') return false;
  return true;
}

bool isNumbered(std::string_view text, char letter, int maximum) {
  if (!text.starts_with(letter)) return false;
  const auto number = common::parseNumber<int>(text.substr(1));
  return number && *number >= 0 && *number <= maximum;
}

// "s0", "s0:c1,c2", "s0:c1.c4": a sensitivity and categories.
bool isSimpleLevel(std::string_view text) {
  const size_t colon = text.find(':');
  if (!isNumbered(text.substr(0, colon), 's', kMaximumSensitivity)) return false;
  if (colon == std::string_view::npos) return true;
  for (std::string_view range : common::split(text.substr(colon + 1), ',')) {
    const std::vector<std::string_view> ends = common::split(range, '.');
    if (ends.size() > 2) return false;
    for (std::string_view end : ends)
      if (!isNumbered(end, 'c', kMaximumCategory)) return false;
  }
  return true;
}

bool isLevel(std::string_view text) {
  const std::vector<std::string_view> range = common::split(text, '-');
  if (range.size() > 2) return false;
  for (std::string_view level : range)
    if (!isSimpleLevel(level)) return false;
  return true;
}

absl::Status check(const SELinuxOption& options) {
  const std::array<std::pair<std::string_view, const std::string&>, 3> identifiers = {
      {{"user", options.user()}, {"role", options.role()}, {"type", options.type()}}};
  for (const auto& [name, value] : identifiers)
    if (!isIdentifier(value))
      return absl::InvalidArgumentError(support::strCat("selinux_options: ", name, " \"", value,
                                                        "\" is not an SELinux identifier"));
  if (!options.level().empty() && !isLevel(options.level()))
    return absl::InvalidArgumentError(
        support::strCat("selinux_options: level \"", options.level(),
                        "\" is invalid: expected a sensitivity and categories, as in s0:c4,c5"));
  return absl::OkStatus();
}

struct Context {
  std::string user = "system_u";
  std::string role = "system_r";
  std::string type;
  std::string level{kLowestLevel};

  std::string text() const { return support::strCat(user, ":", role, ":", type, ":", level); }
};

// A level has colons too: it is all behind the third one.
Context parse(std::string_view text) {
  Context context;
  const std::vector<std::string_view> parts = common::split(text, ':');
  if (parts.size() < 4) return context;
  context.user = parts[0];
  context.role = parts[1];
  context.type = parts[2];
  context.level = text.substr(static_cast<size_t>(parts[3].data() - text.data()));
  return context;
}

void replaceIfSet(std::string& part, const std::string& option) {
  if (!option.empty()) part = option;
}

// Files have the role object_r whatever the process's is.
std::string fileLabel(const Context& process) {
  return Context{process.user, "object_r", std::string(kFileType), process.level}.text();
}

SeLinuxLabels labels(const Context& process) {
  return {.process = process.text(), .mount = fileLabel(process)};
}

Context applied(Context context, const SELinuxOption& options) {
  replaceIfSet(context.user, options.user());
  replaceIfSet(context.role, options.role());
  replaceIfSet(context.type, options.type());
  replaceIfSet(context.level, options.level());
  return context;
}

}  // namespace

absl::StatusOr<SeLinuxLabels> podSeLinuxLabels(const SELinuxOption& options,
                                               const common::HostFacts& host,
                                               const std::string& level) {
  BERTH_RETURN_IF_ERROR(check(options));
  if (!host.seLinux) return SeLinuxLabels{};
  Context context{.type = std::string(kProcessType)};
  replaceIfSet(context.level, level);
  return labels(applied(std::move(context), options));
}

absl::StatusOr<SeLinuxLabels> containerSeLinuxLabels(const SELinuxOption& options,
                                                     const SeLinuxLabels& pod,
                                                     const common::HostFacts& host,
                                                     Privilege privilege) {
  BERTH_RETURN_IF_ERROR(check(options));
  if (!host.seLinux) return SeLinuxLabels{};
  Context context = parse(pod.process);
  if (context.type.empty()) context.type = kProcessType;
  context = applied(std::move(context), options);
  SeLinuxLabels result = labels(context);
  // Its files keep the pod's categories, so that the pod's other containers can use them.
  if (privilege == Privilege::kPrivileged && options.type().empty()) {
    context.type = kPrivilegedType;
    if (options.level().empty()) context.level = kLowestLevel;
    result.process = context.text();
  }
  return result;
}

}  // namespace berth::spec
