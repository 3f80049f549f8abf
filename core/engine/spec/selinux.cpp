#include <array>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "common/text.hpp"
#include "engine/spec/security.hpp"

namespace berth::spec {
namespace {

using runtime::v1::SELinuxOption;

// Policies for containers have both or neither.
constexpr std::string_view kProcessType = "container_t";
constexpr std::string_view kUnconfinedType = "spc_t";
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
  std::string user;
  std::string role;
  std::string type;
  std::string level;  // empty for a policy without levels

  std::string text() const {
    return support::strCat(user, ":", role, ":", type, level.empty() ? "" : ":", level);
  }
};

// A level has colons too: it is all behind the third one.
Context parse(std::string_view text) {
  const std::vector<std::string_view> parts = common::split(text, ':');
  if (parts.size() < 3) return {};
  Context context{std::string(parts[0]), std::string(parts[1]), std::string(parts[2]), ""};
  if (parts.size() > 3)
    context.level = text.substr(static_cast<size_t>(parts[3].data() - text.data()));
  return context;
}

void replaceIfSet(std::string& part, const std::string& option) {
  if (!option.empty()) part = option;
}

// Files have the type and role that the policy gives them, whatever the process's are.
SeLinuxLabels labels(const Context& process, const common::HostFacts& host) {
  Context file = parse(host.seLinuxFileContext);
  file.user = process.user;
  if (!file.level.empty()) file.level = process.level;
  return {.process = process.text(), .mount = file.text()};
}

// The policy's own word, where it can be asked.
absl::Status checkKnown(const SeLinuxLabels& labels, const common::HostFacts& host) {
  if (host.seLinuxCheckPath.empty()) return absl::OkStatus();
  for (const std::string* label : {&labels.process, &labels.mount}) {
    if (label->empty()) continue;
    const absl::Status known = support::writeControlFile(host.seLinuxCheckPath, *label);
    if (!known.ok())
      return absl::InvalidArgumentError(
          support::strCat("selinux_options: the policy of this host does not have the context ",
                          *label, ": ", support::fromAbsl(known.message())));
  }
  return absl::OkStatus();
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
  if (!hasContainerLabels(host)) return SeLinuxLabels{};
  Context context = parse(host.seLinuxProcessContext);
  if (!context.level.empty()) replaceIfSet(context.level, level);
  SeLinuxLabels result = labels(applied(std::move(context), options), host);
  BERTH_RETURN_IF_ERROR(checkKnown(result, host));
  return result;
}

absl::StatusOr<SeLinuxLabels> containerSeLinuxLabels(const SELinuxOption& options,
                                                     const SeLinuxLabels& pod,
                                                     const common::HostFacts& host,
                                                     Confinement confinement) {
  BERTH_RETURN_IF_ERROR(check(options));
  if (!hasContainerLabels(host)) return SeLinuxLabels{};
  const Context policy = parse(host.seLinuxProcessContext);
  Context context =
      applied(parse(pod.process.empty() ? host.seLinuxProcessContext : pod.process), options);
  SeLinuxLabels result = labels(context, host);
  // Its files keep the pod's categories, so that the pod's other containers can use them. A type
  // that somebody chose stays.
  if (confinement == Confinement::kNone && options.type().empty() && context.type == policy.type) {
    context.type = kUnconfinedType;
    if (options.level().empty()) context.level = policy.level;
    result.process = policy.type == kProcessType ? context.text() : "";
  }
  BERTH_RETURN_IF_ERROR(checkKnown(result, host));
  return result;
}

bool hasContainerLabels(const common::HostFacts& host) {
  return host.seLinux && !parse(host.seLinuxProcessContext).type.empty() &&
         !parse(host.seLinuxFileContext).type.empty();
}

bool isConfined(const SeLinuxLabels& labels) {
  return !labels.process.empty() && parse(labels.process).type != kUnconfinedType;
}

bool hasLevels(const common::HostFacts& host) {
  return hasContainerLabels(host) && !parse(host.seLinuxProcessContext).level.empty();
}

Confinement confinementOf(const runtime::v1::PodSandboxConfig& pod,
                          const runtime::v1::ContainerConfig& container) {
  const runtime::v1::NamespaceOption& shared = pod.linux().security_context().namespace_options();
  const bool none = container.linux().security_context().privileged() ||
                    shared.pid() == runtime::v1::NODE || shared.ipc() == runtime::v1::NODE;
  return none ? Confinement::kNone : Confinement::kOwn;
}

}  // namespace berth::spec
