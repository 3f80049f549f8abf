// The task service of a pod's shim.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "../ttrpc/client.hpp"
#include "berth/support/status.hpp"
#include "call_slots.hpp"
#include "shim_program.hpp"
#include "task.pb.h"

namespace berth::kata {

namespace api = containerd::task::v2;

// Thread-safe; see ttrpc::Client. Version 3 of the service has the messages of version 2.
class TaskClient {
 public:
  // NOT_FOUND and UNAVAILABLE say that the shim is gone.
  static absl::StatusOr<std::shared_ptr<TaskClient>> connect(const ShimAddress& shim,
                                                             const CallLimits& limits,
                                                             std::function<void()> onBroken) {
    BERTH_ASSIGN_OR_RETURN(auto client,
                           ttrpc::Client::connect(shim.address, limits, std::move(onBroken)));
    return std::shared_ptr<TaskClient>(new TaskClient(std::move(client), shim.version));
  }

  // A call whose answer says something.
  template <class Answer, class Question>
  absl::StatusOr<Answer> ask(std::string_view method, const Question& question,
                             const CallLimits& limits) {
    BERTH_ASSIGN_OR_RETURN(const std::string payload,
                           client_->call({service_, method}, question.SerializeAsString(), limits));
    Answer answer;
    if (answer.ParseFromString(payload)) return answer;
    return absl::InternalError(support::strCat("the shim's answer to ", method, " is malformed"));
  }
  // A call whose answer says nothing, or nothing of interest.
  template <class Question>
  absl::Status tell(std::string_view method, const Question& question, const CallLimits& limits) {
    return client_->call({service_, method}, question.SerializeAsString(), limits).status();
  }
  // Without waiting for what it says.
  template <class Question>
  void begin(std::string_view method, const Question& question, const CallLimits& limits,
             const ttrpc::Client::Reply& reply) {
    client_->begin({service_, method}, question.SerializeAsString(), limits, reply);
  }

  // Starts a created container or, with an id of one, a process in it. Shims do one start after the
  // other, and those of containerd before 1.7 stop for ever when some dozen processes end before
  // those that were asked for meanwhile have all had their turn (containerd, runtime/v2/runc/task:
  // eventSendMu, and sys/reaper: bufferSize). So only a few are asked for at once.
  absl::StatusOr<api::StartResponse> start(const std::string& container, const std::string& exec,
                                           const CallLimits& limits) {
    BERTH_ASSIGN_OR_RETURN(const CallSlots::Slot slot,
                           starts_.take(limits, "wait for other starts in the pod"));
    api::StartRequest request;
    request.set_id(container);
    request.set_exec_id(exec);
    return ask<api::StartResponse>("Start", request, limits);
  }

  bool isBroken() const { return client_->isBroken(); }
  void close() { client_->close(); }

 private:
  TaskClient(std::shared_ptr<ttrpc::Client> client, int version)
      : client_(std::move(client)),
        service_(version == 3 ? "containerd.task.v3.Task" : "containerd.task.v2.Task") {}

  static constexpr unsigned kStartsAtOnce = 4;

  std::shared_ptr<ttrpc::Client> client_;
  std::string_view service_;
  CallSlots starts_{kStartsAtOnce};
};

}  // namespace berth::kata
