#include "images/shared_pulls.hpp"

#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "images/digest.hpp"
#include "images/patience.hpp"

namespace berth::images {

// Credentials are part of it: who lacks the right to an image must not get it from another.
std::string pullKey(const Reference& reference, const PullTarget& target,
                    const plugins::Credentials* credentials) {
  std::string key =
      support::strCat(reference.full(), "\n", target.snapshotter, "\n", target.platform);
  if (credentials == nullptr) return key;
  for (const std::string* part :
       {&credentials->username, &credentials->password, &credentials->auth,
        &credentials->serverAddress, &credentials->identityToken, &credentials->registryToken}) {
    key += support::strCat("\n", sha256(*part));
  }
  return key;
}

// False when the operation's time or patience ended first.
bool SharedPulls::await(const std::shared_future<Pulled>& pull, const plugins::Operation& op) {
  while (pull.wait_until(nextLook(op)) != std::future_status::ready) {
    if (op.cancelled()) return false;
  }
  return true;
}

absl::Status SharedPulls::cutOff(const std::string& key, const plugins::Operation& op) {
  std::lock_guard lock(mutex_);
  const auto found = running_.find(key);
  if (found == running_.end()) return op.check();
  return support::annotate(op.check(), support::strCat("wait for the same pull, which is to ",
                                                       found->second.owner->stage()));
}

SharedPulls::Pulled SharedPulls::run(const plugins::Operation& op, const std::string& key,
                                     PullProgress* progress, const Pull& pull) {
  for (;;) {
    std::promise<Pulled> promise;
    std::shared_future<Pulled> joined;
    std::shared_ptr<PullProgress> own;
    {
      std::lock_guard lock(mutex_);
      auto [slot, begun] = running_.try_emplace(key);
      if (begun) {
        own = std::make_shared<PullProgress>();
        slot->second = {promise.get_future().share(), own, &op};
      } else {
        joined = slot->second.result;
      }
      if (progress != nullptr) progress->follow(slot->second.progress);
    }
    if (!joined.valid()) {
      Pulled result;
      // Who has joined must get a result in any case.
      const absl::Status thrown = support::returnThrown([&] {
        result = pull(*own);
        return absl::OkStatus();
      });
      if (!thrown.ok()) result = thrown;
      {
        std::lock_guard lock(mutex_);
        running_.erase(key);
      }
      promise.set_value(result);
      return result;
    }
    if (!await(joined, op)) return cutOff(key, op);
    const Pulled& result = joined.get();
    const bool givenUp =
        absl::IsCancelled(result.status()) || absl::IsDeadlineExceeded(result.status());
    if (!givenUp) return result;
  }
}

}  // namespace berth::images
