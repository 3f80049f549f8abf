#include "plugin_check/probe.hpp"

#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "berth/plugin.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "plugin_check/blocked.hpp"
#include "plugin_check/child.hpp"
#include "plugins/isolated_library.hpp"

namespace berth::check {

using support::strCat;

namespace {

constexpr int kReadyFd = 3;
constexpr int kReadyPatience = 30000;  // milliseconds

}  // namespace

Probe::Probe(Settings settings, Place place)
    : settings_(std::move(settings)), place_(std::move(place)) {
  auto record = support::openFile(path(kRecordName), O_WRONLY | O_APPEND | O_CREAT);
  if (record.ok()) record_ = *std::move(record);
}

std::string Probe::path(std::string_view name) const {
  return strCat(place_.folder, "/", name);
}

void Probe::write(std::string_view kind, std::string_view text) {
  const std::string line =
      strCat(boost::json::serialize(boost::json::array{kind, support::validUtf8(text)}), "\n");
  support::writeAll(record_.get(), line).IgnoreError();
}

void Probe::step(std::string_view doing) {
  write("step", place_.part.empty() ? std::string(doing) : strCat(place_.part, ": ", doing));
}

void Probe::fail(std::string_view reason) {
  failed_ = true;
  write("fail", reason);
}

void Probe::warn(std::string_view reason) {
  write("warn", reason);
}

void Probe::skip(std::string_view reason) {
  write("skip", reason);
}

bool Probe::expect(bool holds, std::string_view otherwise) {
  if (!holds) fail(otherwise);
  return holds;
}

bool Probe::succeeds(const absl::Status& status, std::string_view doing) {
  return expect(status.ok(), strCat(doing, ": ", status.ToString()));
}

bool Probe::fails(const absl::Status& status, std::string_view doing,
                  std::initializer_list<absl::StatusCode> codes) {
  if (!expect(!status.ok(), strCat(doing, ": succeeds"))) return false;
  if (codes.size() == 0 || std::find(codes.begin(), codes.end(), status.code()) != codes.end())
    return true;
  std::string wanted;
  for (const absl::StatusCode code : codes) {
    wanted += strCat(wanted.empty() ? "" : " or ", absl::StatusCodeToString(code));
  }
  fail(strCat(doing, ": is to fail with ", wanted, ", and fails with ", status.ToString()));
  return false;
}

void Probe::finish() {
  if (place_.part.empty()) write("done", "");
}

std::shared_ptr<const plugins::Library> Probe::library() {
  step("load the plugin");
  const auto declared = plugins::kindOf(settings_.interfaceId);
  const bool apart = !settings_.pluginHost.empty() && declared.has_value();
  auto library = apart ? plugins::loadIsolated(settings_.file, *declared,
                                               {.process = true, .program = settings_.pluginHost})
                       : plugins::Library::load(settings_.file);
  absl::Status status = library.status();
  alignas(std::max_align_t) unsigned char table[4096] = {};
  if (library.ok()) {
    const plugins::Kind kind = (*library)->kind();
    status = plugins::copyTable(kind, (*library)->description().functions, table,
                                plugins::tableSize(kind));
  }
  if (status.ok()) return *library;
  blocked(*this, {"file.", "description."},
          strCat("the plugin is not accepted: ", status.message()));
  return nullptr;
}

absl::StatusOr<boost::json::object> Probe::options(const plugins::Library& library) const {
  return optionsOf(settings_, view(library.description().options));
}

bool Probe::killPart(const std::string& part) {
  step(strCat("start the process that is to be ", part));
  int ends[2];
  if (!expect(::pipe2(ends, O_CLOEXEC) == 0, "no pipe is to be had")) return false;
  const support::Fd ours(ends[0]);
  support::Fd theirs(ends[1]);
  support::Command command;
  command.argv = childArguments({place_.folder, place_.check, part});
  command.standardOutput = STDERR_FILENO;
  command.standardError = STDERR_FILENO;
  command.descriptors = {{theirs.get(), kReadyFd}};
  auto process = support::spawn(command);
  if (!succeeds(process.status(), "start a process")) return false;
  theirs.reset();
  pollfd polled{.fd = ours.get(), .events = POLLIN};
  char byte = 0;
  const bool ready = ::poll(&polled, 1, kReadyPatience) == 1 && ::read(ours.get(), &byte, 1) == 1;
  if (ready) process->signal(SIGKILL).IgnoreError();
  const auto code = process->wait();
  if (!succeeds(code.status(), "wait for a process") || ready) return ready;
  expect(*code == 0, strCat("the process that was to be ", part, " has ended with ", *code));
  skip("the process did not get to where it was to be killed");
  return false;
}

void Probe::ready() {
  // Whoever waits reads one byte; nobody does when a part is run by hand.
  const char byte = 1;
  if (::write(kReadyFd, &byte, 1) != 1) warn("nobody waits for this part");
}

}  // namespace berth::check
