#include "engine/spec/process.hpp"

#include <unordered_map>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "engine/spec/text.hpp"

namespace berth::spec {
namespace {

namespace bj = boost::json;

constexpr std::string_view kPath =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr std::string_view kTerm = "TERM=xterm";

// Variables in the order of their first setting, with the value of the last.
class Environment {
 public:
  void set(std::string_view variable) {
    const auto [known, isNew] =
        places_.try_emplace(std::string(variable.substr(0, variable.find('='))), variables_.size());
    if (isNew)
      variables_.emplace_back(variable);
    else
      variables_[known->second] = variable;
  }

  std::vector<std::string> take() { return std::move(variables_); }

 private:
  std::vector<std::string> variables_;
  std::unordered_map<std::string, size_t> places_;  // by name: images may have very many
};

absl::Status checkTexts(const std::vector<std::string>& texts, std::string_view what) {
  for (size_t i = 0; i < texts.size(); ++i)
    BERTH_RETURN_IF_ERROR(checkText(texts[i], support::strCat(what, "[", i, "]")));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<std::string>> processArguments(
    const runtime::v1::ContainerConfig& config, const common::ImageConfig& image) {
  std::vector<std::string> arguments(config.command().begin(), config.command().end());
  if (arguments.empty()) {
    // Docker's way to say that there is no entry point.
    const bool none = image.entrypoint.size() == 1 && image.entrypoint.front().empty();
    if (!none) arguments = image.entrypoint;
    if (config.args().empty())
      arguments.insert(arguments.end(), image.command.begin(), image.command.end());
  }
  arguments.insert(arguments.end(), config.args().begin(), config.args().end());
  if (arguments.empty() || arguments.front().empty())
    return absl::InvalidArgumentError(
        "no command specified: the container has none, and its image has no Entrypoint or Cmd");
  BERTH_RETURN_IF_ERROR(checkTexts(arguments, "command line"));
  return arguments;
}

absl::StatusOr<std::vector<std::string>> processEnvironment(
    const runtime::v1::ContainerConfig& config, const common::ImageConfig& image,
    const Defaults& defaults, const std::string& hostname, Warnings& warnings) {
  Environment environment;
  environment.set(kPath);
  if (config.tty()) environment.set(kTerm);
  environment.set(support::strCat("HOSTNAME=", hostname));
  for (const auto* list : {&defaults.environment, &image.environment})
    for (const std::string& variable : *list)
      // An image's entry without a value sets nothing.
      if (const size_t equals = variable.find('='); equals != std::string::npos && equals != 0)
        environment.set(variable);
  for (const runtime::v1::KeyValue& variable : config.envs()) {
    if (variable.key().empty() || variable.key().find('=') != std::string::npos)
      return absl::InvalidArgumentError(support::strCat(
          "envs: \"", variable.key(), "\" is not the name of an environment variable"));
    // The value is bytes, but a specification is JSON, and what reads it takes nothing else: crun
    // refuses the whole of it, runc puts U+FFFD in place. Other engines let runc do that.
    const std::string value = replaceNonUtf8(variable.value());
    if (value != variable.value())
      warnings.push_back({support::strCat("the value of the environment variable ", variable.key(),
                                          " is not UTF-8; the container gets U+FFFD for each byte"
                                          " that is not")});
    environment.set(support::strCat(variable.key(), "=", value));
  }
  std::vector<std::string> variables = environment.take();
  for (const std::string& variable : variables)
    BERTH_RETURN_IF_ERROR(checkText(
        variable,
        support::strCat("environment variable ", variable.substr(0, variable.find('=')))));
  return variables;
}

absl::StatusOr<std::string> processDirectory(const runtime::v1::ContainerConfig& config,
                                             const common::ImageConfig& image) {
  const bool requested = !config.working_dir().empty();
  const std::string& directory = requested ? config.working_dir() : image.workingDirectory;
  if (directory.empty()) return std::string("/");
  BERTH_RETURN_IF_ERROR(checkText(directory, "working directory"));
  if (!directory.starts_with('/'))
    return absl::InvalidArgumentError(support::strCat("working directory \"", directory, "\"",
                                                      requested ? "" : " of the image",
                                                      " must be absolute"));
  return directory;
}

absl::StatusOr<bj::object> execProcess(const bj::object& containerSpec,
                                       const std::vector<std::string>& command, Terminal terminal) {
  const bj::object* process = support::objectMember(containerSpec, "process");
  if (process == nullptr)
    return absl::InternalError("exec: the container's specification has no process");
  if (command.empty() || command.front().empty())
    return absl::InvalidArgumentError("exec: cmd is empty");
  BERTH_RETURN_IF_ERROR(checkTexts(command, "exec: command"));

  bj::object exec = *process;
  exec["args"] = jsonTexts(command);
  exec["terminal"] = terminal == Terminal::kYes;
  exec.erase("consoleSize");
  if (terminal == Terminal::kYes) {
    Environment environment;
    // First, so that a value of the container's own wins.
    environment.set(kTerm);
    for (const std::string& variable : support::stringsMember(*process, "env"))
      environment.set(variable);
    exec["env"] = jsonTexts(environment.take());
  }
  return exec;
}

}  // namespace berth::spec
