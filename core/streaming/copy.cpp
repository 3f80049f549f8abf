#include "streaming/copy.hpp"

#include <array>

namespace berth::streaming {

namespace asio = boost::asio;

namespace {

// Untouched pages cost nothing: a session that says little keeps little.
constexpr size_t kOutputBytes = 256u << 10;
constexpr size_t kInputBytes = 64u << 10;
// A read of so much means that the pipe's other side is fast.
constexpr size_t kBusyBytes = 64u << 10;

std::unique_ptr<char[]> makeBuffer(size_t size) {
  return std::make_unique_for_overwrite<char[]>(size);
}

}  // namespace

Task<CopyEnd> copyToClient(Session& session, AsyncFd& from, Stream& to) {
  const std::unique_ptr<char[]> buffer = makeBuffer(kOutputBytes);
  for (;;) {
    const absl::StatusOr<size_t> count =
        co_await from.read(asio::buffer(buffer.get(), kOutputBytes));
    if (!count.ok()) co_return CopyEnd::kSourceFailed;
    if (*count == 0) co_return CopyEnd::kSourceEnded;
    if (*count >= kBusyBytes) from.growPipe();
    session.touch();
    const absl::Status written = co_await to.write(asio::buffer(buffer.get(), *count));
    if (!written.ok()) co_return CopyEnd::kSinkFailed;
    session.touch();
  }
}

Task<CopyEnd> copyFromClient(Session& session, Stream& from, AsyncFd& to) {
  const std::unique_ptr<char[]> buffer = makeBuffer(kInputBytes);
  for (;;) {
    const absl::StatusOr<size_t> count =
        co_await from.read(asio::buffer(buffer.get(), kInputBytes));
    if (!count.ok()) co_return CopyEnd::kSourceFailed;
    if (*count == 0) co_return CopyEnd::kSourceEnded;
    if (*count >= kBusyBytes) to.growPipe();
    session.touch();
    const absl::Status written = co_await to.write(asio::buffer(buffer.get(), *count));
    if (!written.ok()) co_return CopyEnd::kSinkFailed;
    session.touch();
  }
}

Task<void> discard(Session& session, Stream& from) {
  std::array<char, 4096> buffer;
  for (;;) {
    const absl::StatusOr<size_t> count = co_await from.read(asio::buffer(buffer));
    if (!count.ok() || *count == 0) co_return;
    session.touch();
  }
}

}  // namespace berth::streaming
