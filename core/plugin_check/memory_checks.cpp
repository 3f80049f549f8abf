// Checks of memory: of the plugin's life and of its kind's calls, under valgrind or the sanitizer
// that it was built with.
#include <cstdlib>
#include <sstream>
#include <unistd.h>

#include <absl/strings/str_replace.h>

#include "berth/support/files.hpp"
#include "berth/support/process.hpp"
#include "berth/support/status.hpp"
#include "plugin_check/check.hpp"
#include "plugin_check/child.hpp"
#include "plugin_check/life.hpp"
#include "plugin_check/memory.hpp"
#include "plugin_check/probe.hpp"
#include "plugin_check/raw_instance.hpp"
#include "plugin_check/sanitizer.hpp"

namespace berth::check {

using support::strCat;

namespace {

constexpr size_t kShown = 5;

// The text between <tag> and </tag>, from `position` on; moves behind it. False at the end.
bool nextElement(const std::string& xml, std::string_view tag, size_t& position,
                 std::string& content) {
  const std::string open = strCat("<", tag, ">");
  const std::string close = strCat("</", tag, ">");
  const size_t start = xml.find(open, position);
  if (start == std::string::npos) return false;
  const size_t end = xml.find(close, start);
  if (end == std::string::npos) return false;
  content = xml.substr(start + open.size(), end - start - open.size());
  position = end + close.size();
  return true;
}

std::string element(const std::string& xml, std::string_view tag) {
  size_t position = 0;
  std::string content;
  return nextElement(xml, tag, position, content) ? content : std::string();
}

std::string plainText(const std::string& xml) {
  return absl::StrReplaceAll(xml, {{"&lt;", "<"}, {"&gt;", ">"}, {"&amp;", "&"}});
}

// The kernel does not look at what a mount does not need.
constexpr std::string_view kSuppressions = R"({
   unneeded-type
   Memcheck:Param
   mount(type)
   fun:mount
}
{
   unneeded-source
   Memcheck:Param
   mount(source)
   fun:mount
}
{
   unneeded-data
   Memcheck:Param
   mount(data)
   fun:mount
}
)";

// What is watched: an instance's whole life, with options that are refused before.
void liveOnce(Probe& probe) {
  const auto subject = prepareSubject(probe);
  if (!subject.has_value()) return;
  for (const std::string& options : {std::string("{"), subject->options}) {
    WatchedHost& host = WatchedHost::make(probe.path(""), "watched");
    RawInstance instance(probe, *subject->library, host);
    if (!instance.create().ok()) return;
    if (instance.configure(options).ok() && options == subject->options && instance.start().ok())
      instance.stop();
    instance.destroy();
  }
}

void checkUnderValgrind(Probe& probe) {
  if (!probe.part().empty()) return liveOnce(probe);
  if (const std::string runtime = sanitizerOf(probe.settings().file); !runtime.empty())
    return probe.skip(strCat("is built with ", runtime, ", which valgrind cannot run"));
  if (probe.settings().valgrind.empty())
    return probe.skip("valgrind is not installed, or --memory=never");
  if (probe.library() == nullptr) return;
  probe.step("run it under valgrind");
  const std::string report = probe.path("valgrind.xml");
  const std::string suppressions = probe.path("suppressions");
  if (!probe.succeeds(
          support::replaceFile(suppressions, kSuppressions, 0644, support::Durability::kVisible),
          "write suppressions"))
    return;
  support::Command command;
  command.argv = {probe.settings().valgrind.front(), "--xml=yes",
                  strCat("--xml-file=", report),     "--leak-check=full",
                  "--show-leak-kinds=definite",      "--num-callers=40",
                  "--child-silent-after-fork=yes",   strCat("--suppressions=", suppressions)};
  char self[4096] = {};
  if (::readlink("/proc/self/exe", self, sizeof self - 1) <= 0)
    return probe.skip("this program's own file is not known");
  std::vector<std::string> child = childArguments({probe.path(""), "memory.life", "watched"});
  child.front() = self;
  command.argv.insert(command.argv.end(), child.begin(), child.end());
  const auto output = support::run(command);
  if (!probe.succeeds(output.status(), "run valgrind")) return;
  ::fputs(output->standardError.c_str(), stderr);
  const auto text = support::readFile(report);
  if (!probe.succeeds(text.status(), "read valgrind's report")) return;
  probe.expect(output->exitCode == 0,
               strCat("the process under valgrind ended with ", output->exitCode));
  const std::vector<std::string> errors = errorsOf(*text, probe.settings().file);
  for (size_t i = 0; i < errors.size() && i < kShown; ++i) probe.fail(errors[i]);
  if (errors.size() > kShown) probe.fail(strCat("and ", errors.size() - kShown, " more"));
}

void checkSanitized(Probe& probe) {
  const std::string runtime = sanitizerOf(probe.settings().file);
  if (runtime.empty()) return probe.skip("is not built with a sanitizer");
  // Its runtime ends the process at an error, and at leaks in the end.
  liveOnce(probe);
}

}  // namespace

std::string findValgrind() {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "/usr/bin:/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::string program = strCat(folder, "/valgrind");
    if (::access(program.c_str(), X_OK) == 0) return program;
  }
  return {};
}

std::vector<std::string> errorsOf(const std::string& report, const std::string& file) {
  std::vector<std::string> errors;
  std::string error;
  for (size_t position = 0; nextElement(report, "error", position, error);) {
    std::string what = element(error, "what");
    if (what.empty()) what = element(error, "text");
    std::string functions, frame;
    for (size_t at = 0; nextElement(error, "frame", at, frame);) {
      if (element(frame, "obj") != file) continue;
      const std::string function = element(frame, "fn");
      const std::string line = element(frame, "line");
      functions += strCat(functions.empty() ? "" : " ← ", function.empty() ? "?" : function);
      if (!line.empty()) functions += strCat(" (", element(frame, "file"), ":", line, ")");
    }
    if (!functions.empty()) errors.push_back(plainText(strCat(what, ", in ", functions)));
  }
  return errors;
}

std::vector<Check> memoryChecks() {
  return {
      {.name = "memory.life",
       .meaning = "valgrind finds no wrong access and no leak in the plugin's code.",
       .rule = "types.h, \"Ownership\"; plugin.h, destroy: frees the instance",
       .run = &checkUnderValgrind,
       .patience = 5,
       .within = true},
      {.name = "memory.sanitizer",
       .meaning = "The sanitizer that the plugin was built with finds nothing.",
       .rule = "types.h, \"Ownership\"",
       .run = &checkSanitized,
       .patience = 3,
       .within = true},
  };
}

}  // namespace berth::check
