#include "checkpoint.hpp"

#include <unistd.h>

#include "berth/support/steps.hpp"

namespace berth::runc::monitor {

Checkpoint::Checkpoint(Context& context, CheckpointOwner& owner,
                       protocol::CheckpointContainerRequest request, const ReplyTo& starter)
    : context_(context),
      owner_(owner),
      request_(std::move(request)),
      starter_(starter),
      call_(context, *this) {
  log_ = concat({context.config.runDir, "/operation-", Number(context.nextSerial()), ".log"});
}

Checkpoint::~Checkpoint() {
  support::steps::unlink(log_.c_str());
}

Status Checkpoint::begin() {
  std::vector<std::string> arguments = {"checkpoint"};
  arguments.insert(arguments.end(), request_.arguments.begin(), request_.arguments.end());
  arguments.push_back(request_.containerId);
  return call_.start(concat({"checkpoint container ", request_.containerId}), log_, arguments, {});
}

void Checkpoint::cancel(const ReplyTo& to) {
  cancellers_.push_back(to);
  call_.abort();
}

void Checkpoint::onDisconnect(uint64_t connection) {
  if (connection == starter_.connection) call_.abort();
}

void Checkpoint::abandon() {
  abandoned_ = true;
  call_.abort();
  answerAll(failure(Code::kCancelled, {"checkpoint container ", request_.containerId,
                                       ": the container is being removed"}));
}

void Checkpoint::onRuntimeDone(Status status) {
  if (abandoned_) return;
  answerAll(status);
  owner_.onCheckpointDone();
}

void Checkpoint::answerAll(const Status& status) {
  answerStatus(context_, starter_, status);
  for (const ReplyTo& canceller : cancellers_) answerStatus(context_, canceller, {});
  cancellers_.clear();
}

}  // namespace berth::runc::monitor
