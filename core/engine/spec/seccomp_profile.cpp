#include "engine/spec/seccomp_profile.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "common/capability_names.hpp"
#include "common/text.hpp"

namespace berth::spec {
namespace {

namespace bj = boost::json;

constexpr std::array<std::string_view, 9> kActions = {
    "SCMP_ACT_KILL",  "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_TRAP",  "SCMP_ACT_ERRNO",        "SCMP_ACT_TRACE",
    "SCMP_ACT_ALLOW", "SCMP_ACT_LOG",          "SCMP_ACT_NOTIFY"};
constexpr std::array<std::string_view, 7> kOperators = {
    "SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE",       "SCMP_CMP_EQ",
    "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"};
constexpr std::array<std::string_view, 4> kFlags = {
    "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"};
constexpr std::array<std::string_view, 22> kArchitectures = {
    "SCMP_ARCH_X86",     "SCMP_ARCH_X86_64",   "SCMP_ARCH_X32",         "SCMP_ARCH_ARM",
    "SCMP_ARCH_AARCH64", "SCMP_ARCH_MIPS",     "SCMP_ARCH_MIPS64",      "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",  "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",   "SCMP_ARCH_PPC64LE",  "SCMP_ARCH_S390",        "SCMP_ARCH_S390X",
    "SCMP_ARCH_PARISC",  "SCMP_ARCH_PARISC64", "SCMP_ARCH_RISCV64",     "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",    "SCMP_ARCH_SH"};
constexpr uint64_t kMaximumArgument = 5;
constexpr uint64_t kMaximumErrno = 4095;

// A member's place in the document, for errors.
using Path = std::string;

absl::Status wrong(const Path& path, std::string_view problem) {
  return absl::InvalidArgumentError(support::strCat(path, " ", problem));
}

const bj::value* member(const bj::object& object, std::string_view key) {
  const bj::value* value = object.if_contains(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

absl::StatusOr<std::string> oneOf(const bj::value& value, const Path& path,
                                  std::span<const std::string_view> known) {
  const bj::string* text = value.if_string();
  if (text == nullptr) return wrong(path, "must be a string");
  const std::string_view name(text->data(), text->size());
  if (std::find(known.begin(), known.end(), name) == known.end())
    return wrong(path, support::strCat("has the unknown value \"", name, "\""));
  return std::string(name);
}

absl::StatusOr<uint64_t> number(const bj::value& value, const Path& path, uint64_t maximum) {
  std::optional<uint64_t> found;
  if (const uint64_t* positive = value.if_uint64())
    found = *positive;
  else if (const int64_t* any = value.if_int64(); any != nullptr && *any >= 0)
    found = static_cast<uint64_t>(*any);
  if (!found || *found > maximum)
    return wrong(path, support::strCat("must be a whole number from 0 to ", maximum));
  return *found;
}

// The strings of an array member; empty when it is missing.
absl::StatusOr<std::vector<std::string>> texts(const bj::object& object, std::string_view key,
                                               const Path& path) {
  std::vector<std::string> result;
  const bj::value* value = member(object, key);
  if (value == nullptr) return result;
  const bj::array* array = value->if_array();
  if (array == nullptr) return wrong(path, "must be an array of strings");
  for (const bj::value& element : *array) {
    const bj::string* text = element.if_string();
    if (text == nullptr) return wrong(path, "must be an array of strings");
    result.emplace_back(text->data(), text->size());
  }
  return result;
}

absl::StatusOr<std::vector<std::string>> knownTexts(const bj::object& object, std::string_view key,
                                                    const Path& path,
                                                    std::span<const std::string_view> known) {
  BERTH_ASSIGN_OR_RETURN(std::vector<std::string> result, texts(object, key, path));
  for (const std::string& text : result)
    if (std::find(known.begin(), known.end(), text) == known.end())
      return wrong(path, support::strCat("has the unknown value \"", text, "\""));
  return result;
}

// "4.8": a kernel from this one on.
absl::StatusOr<common::KernelVersion> kernelVersion(std::string_view text, const Path& path) {
  const std::vector<std::string_view> parts = common::split(text, '.');
  const auto major = common::parseNumber<unsigned>(parts[0]);
  const auto minor = parts.size() == 2 ? common::parseNumber<unsigned>(parts[1]) : std::nullopt;
  if (!major || !minor)
    return wrong(path, support::strCat("must be <kernel>.<major>, as in 4.8, not \"", text, "\""));
  return common::KernelVersion{.major = *major, .minor = *minor};
}

// How a rule's condition is to be met: `includes` by all its parts, `excludes` by none.
enum class Condition { kIncludes, kExcludes };

// Whether the rule stays.
absl::StatusOr<bool> holds(const bj::object& rule, Condition condition, const Path& rulePath,
                           const SeccompConditions& host) {
  const bool including = condition == Condition::kIncludes;
  const std::string_view key = including ? "includes" : "excludes";
  const Path path = support::strCat(rulePath, ".", key);
  const bj::value* value = member(rule, key);
  if (value == nullptr) return true;
  const bj::object* filter = value->if_object();
  if (filter == nullptr) return wrong(path, "must be an object");

  BERTH_ASSIGN_OR_RETURN(const auto architectures, texts(*filter, "arches", path + ".arches"));
  BERTH_ASSIGN_OR_RETURN(const auto capabilities, texts(*filter, "caps", path + ".caps"));
  const bool onArchitecture = std::find(architectures.begin(), architectures.end(),
                                        host.architecture) != architectures.end();
  if (!architectures.empty() && onArchitecture != including) return false;
  for (const std::string& name : capabilities) {
    const std::optional<int> capability = common::capabilityNumber(name);
    const bool held = capability && (host.capabilities & common::capabilityBit(*capability)) != 0;
    if (held != including) return false;
  }
  if (const bj::value* minimum = member(*filter, "minKernel")) {
    const bj::string* text = minimum->if_string();
    if (text == nullptr) return wrong(path + ".minKernel", "must be a string");
    if (text->empty()) return true;
    BERTH_ASSIGN_OR_RETURN(
        const common::KernelVersion version,
        kernelVersion(std::string_view(text->data(), text->size()), path + ".minKernel"));
    if ((host.kernel >= version) != including) return false;
  }
  return true;
}

absl::StatusOr<bj::array> arguments(const bj::value& value, const Path& path) {
  const bj::array* array = value.if_array();
  if (array == nullptr) return wrong(path, "must be an array");
  bj::array result;
  for (size_t i = 0; i < array->size(); ++i) {
    const Path entry = support::strCat(path, "[", i, "]");
    const bj::object* object = (*array)[i].if_object();
    if (object == nullptr) return wrong(entry, "must be an object");
    const bj::value* index = member(*object, "index");
    const bj::value* operand = member(*object, "value");
    const bj::value* operation = member(*object, "op");
    if (index == nullptr || operand == nullptr || operation == nullptr)
      return wrong(entry, "must have index, value and op");
    bj::object argument;
    BERTH_ASSIGN_OR_RETURN(argument["index"], number(*index, entry + ".index", kMaximumArgument));
    BERTH_ASSIGN_OR_RETURN(argument["value"], number(*operand, entry + ".value", UINT64_MAX));
    if (const bj::value* second = member(*object, "valueTwo")) {
      BERTH_ASSIGN_OR_RETURN(argument["valueTwo"],
                             number(*second, entry + ".valueTwo", UINT64_MAX));
    }
    BERTH_ASSIGN_OR_RETURN(argument["op"], oneOf(*operation, entry + ".op", kOperators));
    result.emplace_back(std::move(argument));
  }
  return result;
}

absl::StatusOr<bj::array> systemCalls(const bj::object& rule, const Path& path) {
  BERTH_ASSIGN_OR_RETURN(std::vector<std::string> names, texts(rule, "names", path + ".names"));
  if (const bj::value* single = member(rule, "name")) {
    const bj::string* text = single->if_string();
    if (text == nullptr) return wrong(path + ".name", "must be a string");
    if (!text->empty() && !names.empty())
      return wrong(path, "has both name and names: use one of them");
    if (!text->empty()) names.emplace_back(text->data(), text->size());
  }
  if (names.empty()) return wrong(path, "names no system call");
  bj::array known;
  for (const std::string& name : names)
    if (isSystemCall(name)) known.emplace_back(name);
  return known;
}

// Null when the rule does not apply to this container on this host.
absl::StatusOr<bj::value> convertRule(const bj::object& rule, const Path& path,
                                      const SeccompConditions& conditions) {
  BERTH_ASSIGN_OR_RETURN(bj::array names, systemCalls(rule, path));
  const bj::value* action = member(rule, "action");
  if (action == nullptr) return wrong(path, "has no action");
  bj::object result{{"names", std::move(names)}};
  BERTH_ASSIGN_OR_RETURN(result["action"], oneOf(*action, path + ".action", kActions));
  if (const bj::value* code = member(rule, "errnoRet")) {
    BERTH_ASSIGN_OR_RETURN(result["errnoRet"], number(*code, path + ".errnoRet", kMaximumErrno));
  }
  if (const bj::value* list = member(rule, "args")) {
    BERTH_ASSIGN_OR_RETURN(bj::array checked, arguments(*list, path + ".args"));
    if (!checked.empty()) result["args"] = std::move(checked);
  }
  BERTH_ASSIGN_OR_RETURN(const bool included, holds(rule, Condition::kIncludes, path, conditions));
  BERTH_ASSIGN_OR_RETURN(const bool kept, holds(rule, Condition::kExcludes, path, conditions));
  if (!included || !kept || result["names"].as_array().empty()) return bj::value();
  return bj::value(std::move(result));
}

absl::StatusOr<bj::array> convertRules(const bj::object& profile,
                                       const SeccompConditions& conditions) {
  bj::array result;
  const bj::value* value = member(profile, "syscalls");
  if (value == nullptr) return result;
  const bj::array* rules = value->if_array();
  if (rules == nullptr) return wrong("syscalls", "must be an array");
  for (size_t i = 0; i < rules->size(); ++i) {
    const Path path = support::strCat("syscalls[", i, "]");
    const bj::object* rule = (*rules)[i].if_object();
    if (rule == nullptr) return wrong(path, "must be an object");
    BERTH_ASSIGN_OR_RETURN(bj::value converted, convertRule(*rule, path, conditions));
    if (!converted.is_null()) result.push_back(std::move(converted));
  }
  return result;
}

// From `architectures`, or the entry of `archMap` for this host.
absl::StatusOr<bj::array> architectures(const bj::object& profile,
                                        const SeccompConditions& conditions) {
  BERTH_ASSIGN_OR_RETURN(std::vector<std::string> names,
                         knownTexts(profile, "architectures", "architectures", kArchitectures));
  const bj::value* map = member(profile, "archMap");
  if (map != nullptr && !names.empty())
    return wrong("archMap", "and architectures are both given: use one of them");
  if (map != nullptr) {
    const bj::array* entries = map->if_array();
    if (entries == nullptr) return wrong("archMap", "must be an array");
    const std::vector<std::string> native = seccompArchitectures(conditions.architecture);
    for (size_t i = 0; i < entries->size(); ++i) {
      const Path path = support::strCat("archMap[", i, "]");
      const bj::object* entry = (*entries)[i].if_object();
      const bj::value* main = entry != nullptr ? member(*entry, "architecture") : nullptr;
      if (main == nullptr) return wrong(path, "must be an object with an architecture");
      BERTH_ASSIGN_OR_RETURN(std::string name,
                             oneOf(*main, path + ".architecture", kArchitectures));
      BERTH_ASSIGN_OR_RETURN(
          const auto others,
          knownTexts(*entry, "subArchitectures", path + ".subArchitectures", kArchitectures));
      if (native.empty() || name != native.front() || !names.empty()) continue;
      names.push_back(std::move(name));
      names.insert(names.end(), others.begin(), others.end());
    }
  }
  bj::array result;
  for (const std::string& name : names) result.emplace_back(name);
  return result;
}

bool notifies(const bj::object& converted) {
  if (converted.at("defaultAction") == "SCMP_ACT_NOTIFY") return true;
  const bj::array& rules = converted.at("syscalls").as_array();
  return std::any_of(rules.begin(), rules.end(),
                     [](const bj::value& rule) { return rule.at("action") == "SCMP_ACT_NOTIFY"; });
}

// Where the runtime sends the descriptor of notifications.
absl::Status addListener(const bj::object& profile, bj::object& out) {
  for (const char* key : {"listenerPath", "listenerMetadata"}) {
    const bj::value* value = member(profile, key);
    if (value == nullptr) continue;
    if (!value->is_string()) return wrong(key, "must be a string");
    if (!value->get_string().empty()) out[key] = *value;
  }
  if (notifies(out) && !out.contains("listenerPath"))
    return wrong("listenerPath", "is missing, and SCMP_ACT_NOTIFY needs it");
  return absl::OkStatus();
}

absl::StatusOr<bj::object> convert(const bj::object& profile, const SeccompConditions& conditions) {
  const bj::value* action = member(profile, "defaultAction");
  if (action == nullptr) return wrong("defaultAction", "is missing");
  bj::object out;
  BERTH_ASSIGN_OR_RETURN(out["defaultAction"], oneOf(*action, "defaultAction", kActions));
  if (const bj::value* code = member(profile, "defaultErrnoRet")) {
    BERTH_ASSIGN_OR_RETURN(out["defaultErrnoRet"], number(*code, "defaultErrnoRet", kMaximumErrno));
  }
  BERTH_ASSIGN_OR_RETURN(bj::array names, architectures(profile, conditions));
  if (!names.empty()) out["architectures"] = std::move(names);
  BERTH_ASSIGN_OR_RETURN(const auto flags, knownTexts(profile, "flags", "flags", kFlags));
  if (!flags.empty()) out["flags"] = bj::array(flags.begin(), flags.end());
  BERTH_ASSIGN_OR_RETURN(out["syscalls"], convertRules(profile, conditions));
  BERTH_RETURN_IF_ERROR(addListener(profile, out));
  return out;
}

}  // namespace

absl::StatusOr<bj::object> parseSeccompProfile(std::string_view text, std::string_view what,
                                               const SeccompConditions& conditions) {
  BERTH_ASSIGN_OR_RETURN(const bj::object profile, support::parseJsonObject(text, what));
  absl::StatusOr<bj::object> converted = convert(profile, conditions);
  if (!converted.ok())
    return support::annotate(converted.status(), support::strCat("parse ", what));
  return converted;
}

}  // namespace berth::spec
