#include "hooks/definition.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <unistd.h>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "common/json_fields.hpp"

namespace berth::hooks {
namespace {

using common::JsonFields;
using support::strCat;

constexpr std::string_view kVersion = "1.0.0";
constexpr std::array<std::string_view, 6> kStages = {
    "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"};

bool matches(const Pattern& pattern, const std::string& text) {
  return re2::RE2::PartialMatch(text, *pattern);
}

Pattern compile(JsonFields& fields, std::string_view key, const std::string& text) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  auto pattern = std::make_shared<const re2::RE2>(text, options);
  if (!pattern->ok())
    fields.wrong(key, strCat("has the pattern \"", text, "\", which is none: ", pattern->error()));
  return pattern;
}

void readHook(JsonFields& fields, boost::json::object& hook, std::string& path) {
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
  std::optional<int32_t> timeout;
  fields.text("path", path);
  fields.texts("args", arguments);
  fields.texts("env", environment);
  fields.number("timeout", timeout);
  if (!path.starts_with('/'))
    fields.wrong("path", path.empty() ? "is missing" : "must be absolute");
  if (timeout && *timeout <= 0) fields.wrong("timeout", "must be more than 0 seconds");
  for (const std::string& variable : environment)
    if (const size_t equals = variable.find('='); equals == 0 || equals == std::string::npos)
      fields.wrong("env", strCat("has \"", variable, "\", which is not NAME=value"));
  hook["path"] = path;
  if (!arguments.empty()) hook["args"] = support::jsonTexts(arguments);
  if (!environment.empty()) hook["env"] = support::jsonTexts(environment);
  if (timeout) hook["timeout"] = *timeout;
}

void readCondition(JsonFields& fields, Condition& when) {
  std::map<std::string, std::string> annotations;
  std::vector<std::string> commands;
  fields.flag("always", when.always);
  fields.flag("hasBindMounts", when.hasBindMounts);
  fields.textMap("annotations", annotations);
  fields.texts("commands", commands);
  for (const auto& [key, value] : annotations)
    when.annotations.emplace_back(compile(fields, "annotations", key),
                                  compile(fields, "annotations", value));
  for (const std::string& command : commands)
    when.commands.push_back(compile(fields, "commands", command));
}

void readDefinition(JsonFields& fields, Definition& definition, std::string& path) {
  std::string version;
  fields.text("version", version);
  if (version != kVersion)
    return fields.wrong("version",
                        strCat("is \"", version, "\", but only ", kVersion, " is supported"));
  bool conditioned = false;
  fields.object("hook", [&](JsonFields& item) { readHook(item, definition.hook, path); });
  fields.object("when", [&](JsonFields& item) {
    conditioned = true;
    readCondition(item, definition.when);
  });
  fields.texts("stages", definition.stages);
  if (definition.hook.empty()) fields.wrong("hook", "is missing");
  if (!conditioned) fields.wrong("when", "is missing");
  if (definition.stages.empty()) fields.wrong("stages", "is missing or empty");
  for (const std::string& stage : definition.stages)
    if (std::find(kStages.begin(), kStages.end(), stage) == kStages.end())
      fields.wrong("stages", strCat("has \"", stage, "\", which is no stage"));
}

}  // namespace

bool Condition::holds(const Subject& subject) const {
  bool given = false;
  const auto check = [&](bool held) {
    given = true;
    return held;
  };
  if (always && !check(*always)) return false;
  if (hasBindMounts && !check(*hasBindMounts && subject.hasBindMounts)) return false;
  for (const auto& wanted : annotations) {
    const bool found = std::any_of(subject.annotations.begin(), subject.annotations.end(),
                                   [&](const auto& annotation) {
                                     return matches(wanted.first, annotation.first) &&
                                            matches(wanted.second, annotation.second);
                                   });
    if (!check(found)) return false;
  }
  if (commands.empty()) return given;
  return std::any_of(commands.begin(), commands.end(),
                     [&](const Pattern& pattern) { return matches(pattern, subject.command); });
}

absl::StatusOr<Definition> parseDefinition(std::string_view text, std::string_view what) {
  BERTH_ASSIGN_OR_RETURN(const boost::json::value document, support::parseJson(text, what));
  Definition definition;
  std::string path;
  absl::Status status;
  {
    JsonFields fields(document, "", JsonFields::Texts::kStrict, status);
    readDefinition(fields, definition, path);
  }
  if (!status.ok()) return support::annotate(status, what);
  if (::access(path.c_str(), X_OK) != 0)
    return absl::FailedPreconditionError(
        strCat(what, ": the hook's program ", path, " cannot be executed: ", ::strerror(errno)));
  return definition;
}

}  // namespace berth::hooks
