#include "engine/checkpoint/mounts.hpp"

#include <algorithm>
#include <set>

#include <absl/strings/str_join.h>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"

namespace berth::checkpoint {

namespace json = boost::json;
using support::strCat;

namespace {

enum class Which { kAll, kFromHost };

std::set<std::string> destinations(const json::object& spec, Which which) {
  std::set<std::string> result;
  const json::array* mounts = support::arrayMember(spec, "mounts");
  if (mounts == nullptr) return result;
  for (const json::value& each : *mounts) {
    if (!each.is_object()) continue;
    if (which == Which::kFromHost && support::stringMember(each.get_object(), "type") != "bind") {
      continue;
    }
    result.insert(support::stringMember(each.get_object(), "destination"));
  }
  return result;
}

const json::object& processOf(const json::object& spec) {
  static const json::object kNone;
  const json::object* process = support::objectMember(spec, "process");
  return process == nullptr ? kNone : *process;
}

absl::Status differs(std::string_view what, std::string_view then, std::string_view now) {
  return absl::FailedPreconditionError(strCat("the container was checkpointed with another ", what,
                                              ": \"", then, "\", not \"", now, "\""));
}

}  // namespace

absl::Status checkFits(const json::object& checkpointed, const json::object& now,
                       const std::vector<std::string>& requested) {
  const std::set<std::string> had = destinations(checkpointed, Which::kAll);
  const std::set<std::string> has = destinations(now, Which::kAll);
  std::vector<std::string> missing;
  for (const std::string& path : destinations(checkpointed, Which::kFromHost)) {
    if (!has.contains(path)) missing.push_back(path);
  }
  if (!missing.empty()) {
    return absl::FailedPreconditionError(
        strCat("the checkpointed container had mounts that this one lacks: ",
               absl::StrJoin(missing, ", ")));
  }
  std::vector<std::string> added;
  for (const std::string& path : requested) {
    if (!had.contains(path)) added.push_back(path);
  }
  if (!added.empty()) {
    return absl::FailedPreconditionError(
        strCat("mounts cannot be added to a checkpointed container: ", absl::StrJoin(added, ", ")));
  }
  const bool terminal = support::boolMember(processOf(checkpointed), "terminal");
  if (terminal == support::boolMember(processOf(now), "terminal")) return absl::OkStatus();
  return absl::FailedPreconditionError(terminal
                                           ? "the checkpointed container had a terminal (tty)"
                                           : "the checkpointed container had no terminal (tty)");
}

absl::Status checkSameProcess(const json::object& checkpointed, const json::object& now,
                              const std::vector<std::string>& variables) {
  const json::object& then = processOf(checkpointed);
  const json::object& process = processOf(now);
  const auto arguments = [](const json::object& of) {
    return absl::StrJoin(support::stringsMember(of, "args"), " ");
  };
  if (support::stringsMember(then, "args") != support::stringsMember(process, "args")) {
    return differs("command", arguments(then), arguments(process));
  }
  if (support::stringMember(then, "cwd") != support::stringMember(process, "cwd")) {
    return differs("working directory", support::stringMember(then, "cwd"),
                   support::stringMember(process, "cwd"));
  }
  const auto user = [](const json::object& of) {
    const json::object* member = support::objectMember(of, "user");
    if (member == nullptr) return std::string("0:0");
    return strCat(support::intMember(*member, "uid"), ":", support::intMember(*member, "gid"));
  };
  if (user(then) != user(process)) return differs("user", user(then), user(process));
  const std::vector<std::string> environment = support::stringsMember(then, "env");
  for (const std::string& variable : variables) {
    if (std::find(environment.begin(), environment.end(), variable) != environment.end()) continue;
    return absl::FailedPreconditionError(
        strCat("the container was checkpointed with another value of the variable ",
               variable.substr(0, variable.find('='))));
  }
  return absl::OkStatus();
}

}  // namespace berth::checkpoint
