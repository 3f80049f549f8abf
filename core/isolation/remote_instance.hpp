// An instance of a plugin whose process may end and is started again.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "berth/support/utf8.hpp"
#include "common/outage.hpp"
#include "isolation/calls.hpp"
#include "isolation/lent.hpp"
#include "isolation/plugin_process.hpp"
#include "isolation/pods.hpp"
#include "isolation/turns.hpp"

namespace berth::isolation {

// What a function throws where the plugin let an exception out of its own: the caller treats it as
// it does for a plugin in its own process.
struct PluginThrew {};

// The instance behind the handle that the functions of stubs.hpp get. It has the life of
// berth/plugin.h; from start to stop a thread brings the process back whenever it has ended: at
// once, and the more slowly the more often that has happened. Calls are thread-safe.
class RemoteInstance {
 public:
  // Takes over a process that has loaded the plugin. `host` and what `turns` needs outlive this.
  RemoteInstance(Launch launch, std::shared_ptr<PluginProcess> process, const berth_host* host,
                 Turns turns);
  ~RemoteInstance();  // stops, and ends the process
  RemoteInstance(const RemoteInstance&) = delete;
  RemoteInstance& operator=(const RemoteInstance&) = delete;

  berth_code create(berth_error* error);
  berth_code configure(berth_str options, berth_error* error);
  berth_code start(berth_error* error);
  // What this does by itself ends, and the process is not started again. Before stop(), which has
  // to wait for its turn.
  void endOwnCalls();
  void stop();
  // The last call of an instance that was created.
  void destroy();
  // The table with what the plugin has of it, the same for as long as this lives; or null.
  const void* extension(std::string_view id, uint32_t revision);

  // Makes a call. UNAVAILABLE and other failures of the process blame the plugin; where a function
  // has no error to leave, it answers as it did last.
  template <auto Member>
  ResultOf<Member> call(const ArgumentsOf<Member>& arguments);

  pid_t pid() const;  // 0: there is none at this moment
  uint32_t restarts() const;
  // Since when there has been no process that has lasted for a while; none: there is one.
  std::optional<common::Outage> outage() const;
  // What a network was told, and is told again in a new process.
  void setPodCidr(std::string_view cidr);
  // Those of a runtime, which a new process is asked to recover.
  Pods& pods() { return pods_; }

 private:
  enum class Phase { kThere, kWaiting, kStarting };
  template <auto Member>
  using ResultSlot = std::conditional_t<std::is_void_v<ResultOf<Member>>, char, ResultOf<Member>>;

  // The process to call; waits for one that is being started.
  absl::StatusOr<std::shared_ptr<PluginProcess>> ready(const berth_op* op);
  absl::Status blamed(const absl::Status& status) const;
  berth_code fail(const absl::Status& status, berth_error* error) const;
  template <auto Member>
  static absl::Status callOn(PluginProcess& process, const ArgumentsOf<Member>& arguments,
                             ResultSlot<Member>& result);
  // A call of the life cycle whose failure is a status.
  template <auto Member, class... A>
  static absl::Status step(PluginProcess& process, std::string_view what, A... arguments);
  static absl::Status statusOf(berth_code code, const std::string& message);
  absl::Status createOn(PluginProcess& process) const;
  absl::StatusOr<std::shared_ptr<PluginProcess>> revive();
  absl::Status remind(PluginProcess& process);
  absl::Status remindExtensions(PluginProcess& process);
  // Has the process recover those of the pods that it has not yet: before it gets any other call,
  // or beside the others.
  enum class Recovery { kFirst, kBeside };
  void recoverPods(PluginProcess& process, Recovery recovery);
  enum class Recovered { kNotAsked, kSettled, kRefused };
  Recovered recoverInTurn(PluginProcess& process, const std::string& id,
                          std::chrono::steady_clock::duration time);
  Recovered recoverPod(PluginProcess& process, const std::string& id,
                       std::chrono::steady_clock::duration time);
  // Blocks until the process has ended; what it has left to do goes on meanwhile.
  void accompany(PluginProcess& process);
  bool isStopping() const;
  berth_host hostTable();
  static RemoteInstance& of(void* context) { return *static_cast<RemoteInstance*>(context); }
  void supervise();
  void log(berth_log_level level, const std::string& message) const;
  // Tells, once, of an extension that the plugin offers and that cannot be carried.
  void missOther(std::string_view id, uint32_t revision);
  uint32_t lastNumber(uint16_t number, uint32_t otherwise) const;
  void keepNumber(uint16_t number, uint32_t value);

  const Launch launch_;
  const berth_host* const host_;
  const berth_host table_;  // the same, with what this one must hear
  const Turns turns_;
  Pods pods_;
  std::vector<std::string> unrecovered_;  // pods, who is asked for next first; the supervisor's

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<PluginProcess> process_;
  Phase phase_ = Phase::kThere;
  std::string why_;  // the last process is not there any more
  std::optional<std::chrono::steady_clock::time_point> out_;  // since when, see outage()
  std::chrono::steady_clock::time_point next_;                // start
  bool supervised_ = false;
  bool stopping_ = false;
  bool stopped_ = false;
  uint32_t restarts_ = 0;
  std::string options_;
  std::string podCidr_;
  std::map<uint16_t, uint32_t> numbers_;
  std::thread supervisor_;
  // An eventfd, readable once stopping_; none: stop() waits for what is under way.
  const support::Fd stop_;

  std::mutex extensionsMutex_;
  std::array<std::shared_ptr<const void>, std::size(kExtensions)> extensions_;
  std::array<bool, std::size(kExtensions)> asked_{};
  std::array<std::shared_ptr<const Frame>, std::size(kExtensions)>
      answers_;                              // hold the texts of tables
  std::set<std::string, std::less<>> kept_;  // extensions that are not carried, as was told
};

template <auto Member>
constexpr size_t argumentOf(Role role) {
  size_t found = SIZE_MAX;
  forEachArgument<Member>([&](auto index) {
    if (roleOf<Member, index>() == role) found = index;
  });
  return found;
}

// Calls a function of a receiver as the other side asks; false: not understood.
template <Receiver T>
bool callReceiver(T* receiver, size_t place, Decoder& in, Encoder& answer, bool& answered) {
  bool understood = false;
  NoCaller none;
  const auto attempt = [&]<auto Member>(Function<Member>) {
    if (kPlace<Member> != place) return;
    Served<Member, NoCaller> served(receiver, in, none);
    if (!in.finished()) return;
    served.run(receiver->*Member, answer);
    answered = !std::is_void_v<ResultOf<Member>>;
    understood = true;
  };
  std::apply([&](auto... functions) { (attempt(functions), ...); }, Functions<T>::list());
  return understood;
}

// Lends the plugin what it asks for; false: nothing was offered.
inline bool lend(const berth_remote_layer& lender, Encoder& answer) {
  if (lender.credentials == nullptr) return false;
  encodeLent(answer, [&](Found found, void* user, berth_error* error) {
    return lender.credentials(lender.user, found, user, error);
  });
  return true;
}

template <auto Member>
absl::Status RemoteInstance::callOn(PluginProcess& process, const ArgumentsOf<Member>& arguments,
                                    ResultSlot<Member>& result) {
  Encoder content;
  encodeArguments<Member>(content, arguments);
  const Callback callback = [&arguments](uint16_t number, Decoder& in,
                                         Encoder& answer) -> absl::StatusOr<bool> {
    bool understood = false;
    bool answered = false;
    forEachArgument<Member>([&](auto index) {
      constexpr size_t I = index;
      if constexpr (I > 0 && roleOf<Member, I>() == Role::kReceiver) {
        if (number >> 8 == I && std::get<I>(arguments) != nullptr)
          understood = callReceiver(std::get<I>(arguments), number & 0xFF, in, answer, answered);
      } else if constexpr (roleOf<Member, I>() == Role::kLender) {
        if (number == I << 8 && in.finished())
          understood = answered = lend(detail::known(std::get<I>(arguments)), answer);
      }
    });
    if (!understood) return absl::InvalidArgumentError("a callback that is not understood");
    return answered;
  };
  Request request{.number = kNumber<Member>, .content = content, .callback = &callback};
  if constexpr (constexpr size_t place = argumentOf<Member>(Role::kOp); place != SIZE_MAX)
    request.op = std::get<place>(arguments);
  absl::StatusOr<Frame> reply = process.exchange(request);
  if (!reply.ok()) return reply.status();
  // What is filled for the caller may have texts: they last until this thread's next call.
  static thread_local Frame kept;
  Frame frame;
  Frame& held = argumentOf<Member>(Role::kResult) != SIZE_MAX ? kept : frame;
  held = *std::move(reply);
  Decoder in(held.bytes, held.descriptors);
  const auto outcome = in.raw<Outcome>();
  if (outcome == Outcome::kThrew && in.finished()) throw PluginThrew();
  if (outcome == Outcome::kSpoilt) {
    const std::string reason = support::validUtf8(in.text());
    if (in.finished())
      return absl::InternalError(support::strCat("handed over what cannot be taken: ", reason));
  }
  if constexpr (std::is_void_v<ResultOf<Member>>) {
    decodeResults<Member>(in, arguments);
  } else {
    result = decodeResults<Member>(in, arguments);
  }
  if (outcome != Outcome::kReturned || !in.finished())
    return process.blame("broke the protocol: a reply that is not understood");
  return absl::OkStatus();
}

template <auto Member>
ResultOf<Member> RemoteInstance::call(const ArgumentsOf<Member>& arguments) {
  constexpr size_t kErrorPlace = argumentOf<Member>(Role::kError);
  const berth_op* op = nullptr;
  if constexpr (constexpr size_t place = argumentOf<Member>(Role::kOp); place != SIZE_MAX)
    op = std::get<place>(arguments);
  ResultSlot<Member> result{};
  absl::Status status;
  if (absl::StatusOr<std::shared_ptr<PluginProcess>> process = ready(op); process.ok()) {
    status = callOn<Member>(**process, arguments, result);
  } else {
    status = process.status();
  }
  if constexpr (kErrorPlace != SIZE_MAX) {
    return status.ok() ? result : fail(status, std::get<kErrorPlace>(arguments));
  } else if constexpr (!std::is_void_v<ResultOf<Member>>) {
    if (status.ok()) {
      keepNumber(kNumber<Member>, static_cast<uint32_t>(result));
      return result;
    }
    // A source that cannot be asked may know the reference: what it is asked next then says why
    // it cannot.
    constexpr uint32_t kOtherwise = kNumber<Member> == kNumber<&berth_image_source::serves> ? 1 : 0;
    return static_cast<ResultOf<Member>>(lastNumber(kNumber<Member>, kOtherwise));
  }
}

}  // namespace berth::isolation
