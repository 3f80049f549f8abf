#include "berth/support/threads.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <new>
#include <system_error>
#include <vector>

#include "berth/support/status.hpp"

namespace berth::support {

absl::Status thrownStatus() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory");
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::resource_unavailable_try_again) {
      return absl::InternalError(error.what());
    }
    return absl::ResourceExhaustedError(strCat("start a thread: ", error.what()));
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  } catch (...) {
    return absl::InternalError("an exception of unknown type");
  }
}

absl::Status returnThrown(const std::function<absl::Status()>& work) {
  try {
    return work();
  } catch (...) {
    return thrownStatus();
  }
}

absl::StatusOr<std::thread> startThread(std::function<void()> work) {
  try {
    return std::thread(std::move(work));
  } catch (...) {
    return thrownStatus();
  }
}

absl::Status onOwnThread(const std::function<absl::Status()>& work) {
  absl::Status status;
  BERTH_ASSIGN_OR_RETURN(std::thread thread, startThread([&] { status = returnThrown(work); }));
  thread.join();
  return status;
}

absl::Status inParallel(size_t count, size_t width,
                        const std::function<absl::Status(size_t)>& work) {
  std::vector<absl::Status> results(count);
  std::atomic<size_t> next{0};
  const auto run = [&] {
    for (size_t i = next++; i < count; i = next++) {
      results[i] = returnThrown([&] { return work(i); });
    }
  };
  std::vector<std::thread> helpers;
  helpers.reserve(width);
  while (helpers.size() + 1 < std::min(count, width)) {
    auto helper = startThread(run);
    if (!helper.ok()) break;
    helpers.push_back(*std::move(helper));
  }
  run();
  for (std::thread& helper : helpers) helper.join();
  StatusCollector failures;
  for (const absl::Status& result : results) failures.add(result);
  return failures.status();
}

}  // namespace berth::support
