// Calls whose work ends with them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "cri/convert.hpp"
#include "cri/stream_list.hpp"
#include "engine/operations.hpp"

namespace berth::cri {

// Fills `response` by `fill`, which works on a thread and a response of its own: the client gets an
// answer in time, and a plugin that does not end keeps none of gRPC's threads. `fill` must own what
// it captures, the engine and the images aside: it may outlive the call.
template <typename Response>
grpc::Status answerOwn(engine::Operations& operations, const grpc::ServerContext& context,
                       const std::string& name, engine::Deadline deadline, Response& response,
                       std::function<absl::Status(plugins::Operation&, Response&)> fill) {
  const auto filled = std::make_shared<Response>();
  const absl::Status status = operations.runOwn(
      name, deadline, patienceOf(context), [&context] { return context.IsCancelled(); },
      [filled, fill = std::move(fill)](plugins::Operation& op) { return fill(op, *filled); });
  if (status.ok()) response = std::move(*filled);
  return toGrpc(status);
}

// Streams what `list` gives, which works as above; see streamList().
template <typename Response, typename Item>
grpc::Status streamOwn(
    engine::Operations& operations, grpc::ServerContext& context, const std::string& name,
    grpc::ServerWriter<Response>& writer, Item* (Response::*add)(),
    std::type_identity_t<std::function<std::vector<Item>(plugins::Operation&)>> list) {
  std::vector<Item> items;
  const grpc::Status listed = answerOwn<std::vector<Item>>(
      operations, context, name, deadlineOf(context), items,
      [list = std::move(list)](plugins::Operation& op, std::vector<Item>& answer) {
        answer = list(op);
        return absl::OkStatus();
      });
  return listed.ok() ? streamList(context, writer, std::move(items), add) : listed;
}

}  // namespace berth::cri
