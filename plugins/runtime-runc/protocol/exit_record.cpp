#include "exit_record.hpp"

#include <charconv>

namespace berth::runc::protocol {

namespace {

void line(std::string& out, std::string_view name, uint64_t value) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(name).append("=").append(digits, static_cast<size_t>(end - digits)).append("\n");
}

bool number(std::string_view text, uint64_t& value) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

}  // namespace

std::string formatExitRecord(const ContainerStatus& status) {
  std::string out;
  out.append("container=").append(status.containerId).append("\n");
  line(out, "exit_code", static_cast<uint64_t>(status.exitCode));
  line(out, "started_at_ns", static_cast<uint64_t>(status.startedAt));
  line(out, "finished_at_ns", static_cast<uint64_t>(status.finishedAt));
  line(out, "oom_kills", status.oomKills);
  line(out, "dropped_log_bytes", status.droppedLogBytes);
  return out;
}

bool parseExitRecord(std::string_view text, ContainerStatus& status) {
  ContainerStatus read;
  read.state = ContainerState::kExited;
  bool exited = false;
  while (!text.empty()) {
    const size_t newline = text.find('\n');
    if (newline == std::string_view::npos) return false;
    const std::string_view each = text.substr(0, newline);
    text.remove_prefix(newline + 1);
    const size_t equals = each.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string_view name = each.substr(0, equals);
    const std::string_view value = each.substr(equals + 1);
    uint64_t figure = 0;
    if (name == "container") {
      read.containerId.assign(value);
      continue;
    }
    if (!number(value, figure)) continue;
    if (name == "exit_code") {
      read.exitCode = static_cast<int32_t>(figure);
      exited = true;
    } else if (name == "started_at_ns") {
      read.startedAt = static_cast<int64_t>(figure);
    } else if (name == "finished_at_ns") {
      read.finishedAt = static_cast<int64_t>(figure);
    } else if (name == "oom_kills") {
      read.oomKills = figure;
    } else if (name == "dropped_log_bytes") {
      read.droppedLogBytes = figure;
    }
  }
  if (!exited || read.containerId.empty()) return false;
  status = read;
  return true;
}

}  // namespace berth::runc::protocol
