// The streams of an exec or attach, and the pipes between them and the process.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>

#include <absl/status/status.h>

#include "streaming/async_fd.hpp"
#include "streaming/copy.hpp"
#include "streaming/session.hpp"

namespace berth::streaming {

// Which streams the CRI request asks for.
struct CommandStreams {
  bool input = false;
  bool output = false;
  bool error = false;
  bool terminal = false;
};

// The steps of a session in their order; join() is always the last.
class CommandIo {
 public:
  CommandIo(Session& session, CommandStreams wanted);

  // Returns when the client has opened all that is wanted. DEADLINE_EXCEEDED when it takes too
  // long.
  Task<absl::Status> openStreams();
  absl::Status openPipes();
  // For the process. Valid until releaseEnds(), which its having duplicates makes possible.
  ProcessEnds ends() const;
  void releaseEnds();
  void start();
  // `resize` blocks; it is called by one thread at a time.
  void startResizing(std::function<absl::Status(TerminalSize)> resize);

  // Both mean that nothing more can come; told by Session::notify().
  bool outputEnded() const { return outputsOpen_ == 0; }
  // The client has ended its input, or nobody reads it any more.
  bool inputEnded() const { return inputEnded_; }

  // The process has ended: hands on the output that it left and then ends it, whoever else holds
  // the pipes.
  void processEnded();
  // Closes the pipes.
  void abandon();
  // The last message on the error stream; an interrupted session waits only a little for it.
  Task<void> sendStatus(std::string message);
  // Shuts the connection down and waits for everything here.
  Task<void> join();

 private:
  enum Slot : size_t { kErrors, kInput, kOutput, kErrorOutput, kResize, kSlots };
  struct Place {
    bool wanted = false;
    std::shared_ptr<Stream> stream;
  };
  struct Copied {
    support::Fd processEnd;
    std::unique_ptr<AsyncFd> ours;
  };

  Task<void> acceptStreams();
  Place* placeFor(const Stream& stream);
  std::string missing() const;
  absl::Status openPipe(Slot slot, Copied& pipe);
  Task<void> copyInput();
  Task<void> watchInput();
  Task<void> copyOutput(Copied& pipe, Stream& stream);
  Task<void> followSizes(std::function<absl::Status(TerminalSize)> resize);
  Task<void> writeStatus(std::string message);

  Session& session_;
  const bool terminal_;
  std::array<Place, kSlots> places_;
  absl::Status noMoreStreams_;
  Copied input_;
  Copied output_;
  Copied error_;
  size_t outputsOpen_ = 0;
  bool inputEnded_ = false;
  bool statusSent_ = false;
  TaskGroup tasks_;
};

}  // namespace berth::streaming
