// A command that a client executes, with the test in its place.
#pragma once

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <fcntl.h>
#include <memory>
#include <mutex>
#include <optional>
#include <poll.h>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "berth/support/fd.hpp"
#include "streaming/backend.hpp"

namespace berth::streaming {

// Thread-safe. Waiting for something that does not come within 20 s fails.
class TestCommand {
 public:
  // What the backend answers: the command runs from here on.
  std::unique_ptr<Execution> run(const ProcessEnds& ends) {
    {
      std::lock_guard lock(state_->mutex);
      input_ = duplicate(ends.input);
      output_ = duplicate(ends.output);
      error_ = duplicate(ends.error);
      state_->runs = true;
    }
    state_->changed.notify_all();
    return std::make_unique<Running>(state_);
  }

  void waitUntilItRuns() {
    EXPECT_TRUE(state_->await([](const State& s) { return s.runs; }));
  }
  bool isCancelled() {
    return state_->await([](const State& s) { return s.cancelled; });
  }
  // The sizes that its terminal was given, once there are so many.
  std::vector<TerminalSize> sizes(size_t count) {
    EXPECT_TRUE(state_->await([count](const State& s) { return s.sizes.size() >= count; }));
    std::lock_guard lock(state_->mutex);
    return state_->sizes;
  }
  // Writes, then ends, as processes do.
  void exit(int code) {
    input_.reset();
    output_.reset();
    error_.reset();
    std::lock_guard lock(state_->mutex);
    state_->code = code;
    state_->changed.notify_all();
  }
  void write(std::string_view text) { writeTo(output_, text); }
  void writeError(std::string_view text) { writeTo(error_, text); }
  // So many bytes of its input; fewer when its end comes before.
  std::string read(size_t size) {
    std::string text;
    while (text.size() < size) {
      pollfd waiting{.fd = input_.get(), .events = POLLIN, .revents = 0};
      if (::poll(&waiting, 1, 20000) != 1) {
        ADD_FAILURE() << "no more input came after \"" << text << '"';
        return text;
      }
      std::string part(size - text.size(), '\0');
      const ssize_t count = ::read(input_.get(), part.data(), part.size());
      if (count <= 0) return text;
      text.append(part, 0, static_cast<size_t>(count));
    }
    return text;
  }

 private:
  struct State {
    template <class Condition>
    bool await(Condition condition) {
      std::unique_lock lock(mutex);
      return changed.wait_for(lock, std::chrono::seconds(20), [&] { return condition(*this); });
    }

    std::mutex mutex;
    std::condition_variable changed;
    bool runs = false;
    bool cancelled = false;
    std::optional<int> code;
    std::vector<TerminalSize> sizes;
  };

  class Running final : public Execution {
   public:
    explicit Running(std::shared_ptr<State> state) : state_(std::move(state)) {}
    ~Running() override { cancel(); }
    absl::StatusOr<int> wait() override {
      std::unique_lock lock(state_->mutex);
      state_->changed.wait(lock, [this] { return state_->code || state_->cancelled; });
      if (state_->code) return *state_->code;
      return absl::CancelledError("the command was cancelled");
    }
    void cancel() override {
      std::lock_guard lock(state_->mutex);
      state_->cancelled = true;
      state_->changed.notify_all();
    }
    absl::Status resize(TerminalSize size) override {
      std::lock_guard lock(state_->mutex);
      state_->sizes.push_back(size);
      state_->changed.notify_all();
      return absl::OkStatus();
    }

   private:
    const std::shared_ptr<State> state_;
  };

  static support::Fd duplicate(int fd) {
    return fd < 0 ? support::Fd() : support::Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  }
  static void writeTo(const support::Fd& end, std::string_view text) {
    while (!text.empty()) {
      const ssize_t count = ::write(end.get(), text.data(), text.size());
      ASSERT_GT(count, 0) << "nobody reads what the command writes";
      text.remove_prefix(static_cast<size_t>(count));
    }
  }

  std::shared_ptr<State> state_ = std::make_shared<State>();
  support::Fd input_;
  support::Fd output_;
  support::Fd error_;
};

}  // namespace berth::streaming
