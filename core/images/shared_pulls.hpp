// Pulls of the same, of which one does the work.
#pragma once

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include <absl/status/statusor.h>

#include "images/image_service.hpp"
#include "images/reference.hpp"
#include "plugins/operation.hpp"

namespace berth::images {

// What pulls must have in common to be the same.
std::string pullKey(const Reference& reference, const PullTarget& target,
                    const plugins::Credentials* credentials);

// Thread-safe.
class SharedPulls {
 public:
  using Pulled = absl::StatusOr<std::shared_ptr<const Image>>;
  using Pull = std::function<Pulled(PullProgress& progress)>;

  // Those with the same key share one `pull`; whoever began it may give up, and then it is the turn
  // of the next. Blocks; `progress` may be null.
  Pulled run(const plugins::Operation& op, const std::string& key, PullProgress* progress,
             const Pull& pull);

 private:
  struct Running {
    std::shared_future<Pulled> result;
    std::shared_ptr<const PullProgress> progress;
    const plugins::Operation* owner;  // lives as long as the entry
  };

  static bool await(const std::shared_future<Pulled>& pull, const plugins::Operation& op);
  // Why the operation waits no longer, and for what it has.
  absl::Status cutOff(const std::string& key, const plugins::Operation& op);

  std::mutex mutex_;
  std::map<std::string, Running> running_;
};

}  // namespace berth::images
