#include <chrono>
#include <iostream>
#include <poll.h>
#include <unistd.h>

#include <absl/strings/str_cat.h>

#include "berth/support/status.hpp"
#include "suites.hpp"

namespace berth::bench {

absl::Status Bench::fail(absl::string_view suite, absl::string_view subject,
                         const absl::Status& status) {
  BERTH_RETURN_IF_ERROR(interrupt.status());
  report.failures.push_back(absl::StrCat(suite, ", ", subject, ": ", status.ToString()));
  progress(absl::StrCat("FAILED: ", report.failures.back()));
  return absl::OkStatus();
}

void Bench::progress(absl::string_view text) const {
  std::cerr << "berth-bench: " << text << "\n";
}

absl::Status Bench::letFileSystemRest() const {
  constexpr auto kForgotten = std::chrono::milliseconds(std::chrono::seconds(62));
  ::sync();
  pollfd interrupted = {.fd = interrupt.fd(), .events = POLLIN, .revents = 0};
  (void)::poll(&interrupted, 1, static_cast<int>(kForgotten.count()));
  return interrupt.status();
}

Sweep::Sweep(Bench& bench, absl::string_view suite)
    : bench_(bench), suite_(suite), bare_(bench.bare.get()) {
  for (const auto& engine : bench.engines) engines_.push_back(engine.get());
}

absl::Status Sweep::rounds(int count, const Measure& measure) {
  for (int round = 0; round < count; ++round) {
    for (Engine*& engine : engines_) {
      BERTH_RETURN_IF_ERROR(bench_.interrupt.status());
      const absl::Status status = measure(*engine);
      if (status.ok()) continue;
      BERTH_RETURN_IF_ERROR(bench_.fail(suite_, engine->name(), status));
      engine = nullptr;
    }
    std::erase(engines_, nullptr);
  }
  return absl::OkStatus();
}

absl::Status Sweep::bare(const std::function<absl::Status(BarePrograms&)>& measure) {
  if (bare_ == nullptr) return absl::OkStatus();
  BERTH_RETURN_IF_ERROR(bench_.interrupt.status());
  const absl::Status status = measure(*bare_);
  if (status.ok()) return absl::OkStatus();
  bare_ = nullptr;
  return bench_.fail(suite_, kBare, status);
}

}  // namespace berth::bench
