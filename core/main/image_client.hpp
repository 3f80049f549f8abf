// What the commands ask of a running daemon about images (berth.admin.v1, runtime.v1). All block,
// as long as the work takes, and can be ended from another thread.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <grpcpp/client_context.h>

#include "berth-admin-v1.pb.h"
#include "cri-runtime-v1.pb.h"

namespace berth::program {

// A call that may be given up: the daemon then gives up what it is at. Thread-safe; for one call.
class AskedImages {
 public:
  explicit AskedImages(std::string socket) : socket_(std::move(socket)) {}

  void cancel() { context_.TryCancel(); }

  using ReportTaker = std::function<void(const berth::admin::v1::PullReport&)>;
  absl::Status pull(const berth::admin::v1::PullRequest& request, const ReportTaker& take);
  absl::Status import(const berth::admin::v1::ImportRequest& request, const ReportTaker& take);
  // A failure of `take` ends the call and is returned.
  absl::Status exportTo(
      const berth::admin::v1::ExportRequest& request,
      const std::function<absl::Status(const berth::admin::v1::ExportPart&)>& take);
  absl::StatusOr<std::string> inspect(const std::string& image);
  absl::StatusOr<berth::admin::v1::PinResponse> pin(const std::string& image, bool pinned);

  absl::StatusOr<std::vector<runtime::v1::Image>> list();
  // NOT_FOUND when it is not there.
  absl::StatusOr<runtime::v1::Image> status(const std::string& image);
  absl::Status remove(const std::string& image);

 private:
  void setPatience();

  const std::string socket_;
  grpc::ClientContext context_;
};

}  // namespace berth::program
