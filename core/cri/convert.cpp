#include "cri/convert.hpp"

#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"

namespace berth::cri {

namespace {
// gRPC carries messages in a header; clients refuse headers above 8 KiB in all, percent-encoded.
constexpr size_t kMaxMessage = 2048;
}  // namespace

grpc::Status toGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  // Clients do not take what is not UTF-8.
  std::string message = support::validUtf8(support::fromAbsl(status.message()));
  if (message.size() > kMaxMessage) {
    message.resize(support::utf8Prefix(message, kMaxMessage).size());
    message += " …";
  }
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), message);
}

namespace {

// For the answer's way: of one that comes too late the client hears nothing.
constexpr std::chrono::milliseconds kAnswerMargin{100};

}  // namespace

engine::Deadline deadlineOf(const grpc::ServerContext& context) {
  const auto deadline = context.deadline();
  const auto now = std::chrono::system_clock::now();
  // "None" reaches the server as a time decades away, which the engine's clock may not hold.
  if (deadline - now > std::chrono::hours(24 * 365)) return engine::Deadline::max();
  return engine::Deadline::clock::now() +
         std::chrono::duration_cast<engine::Deadline::duration>(deadline - now - kAnswerMargin);
}

engine::Deadline patienceOf(const grpc::ServerContext& context) {
  const engine::Deadline deadline = deadlineOf(context);
  return deadline == engine::Deadline::max() ? deadline : deadline + kAnswerMargin / 2;
}

}  // namespace berth::cri
