// The socket through which an OCI runtime hands over the terminal it made (runc, "terminals").
#pragma once

#include <string>

#include "context.hpp"

namespace berth::runc::monitor {

class ConsoleSocket {
 public:
  explicit ConsoleSocket(Context& context) : context_(context) {}
  ~ConsoleSocket();
  ConsoleSocket(const ConsoleSocket&) = delete;
  ConsoleSocket& operator=(const ConsoleSocket&) = delete;

  Status open();
  // For --console-socket; short enough for every run folder's path.
  std::string path() const;
  // The terminal that came, once the runtime has returned: it is sent before the process runs.
  Status take(Fd& terminal);

 private:
  Context& context_;
  Fd listener_;
  std::string name_;
};

// Sets the size; without effect for 0 × 0.
void setTerminalSize(int terminal, uint16_t width, uint16_t height);

}  // namespace berth::runc::monitor
