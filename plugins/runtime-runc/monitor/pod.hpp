// The monitor at work: the pod's containers and what clients ask of them.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "container.hpp"
#include "context.hpp"

namespace berth::runc::monitor {

class Pod final : public Outlet, public PacketHandler, public ContainerOwner {
 public:
  explicit Pod(Context& context);
  ~Pod();

  // Listens on the socket.
  Status open();
  // Until shutdown, or SIGTERM with no container running.
  void run();
  void closeSocket() { server_.close(); }
  void writeState();

 private:
  // Outlet
  void send(const ReplyTo& to, std::string frame) override;
  void tellSubscribers(std::string frame) override { server_.tellSubscribers(frame); }
  bool connected(uint64_t connection) const override { return server_.find(connection) != nullptr; }
  void stateChanged() override { writeState(); }

  // PacketHandler
  bool onPacket(Connection& connection, std::string_view packet, Fd* fds, size_t fdCount) override;
  void onDisconnect(uint64_t connection) override;

  void onContainerDone(Container& container) override;
  static void afterSignals(void* self);

  struct Call {
    Connection& connection;
    ReplyTo to;
    std::string_view fields;
    Fd* fds;
    size_t fdCount;
  };
  void dispatch(const Call& call);
  void hello(const Call& call);
  void createContainer(const Call& call);
  void startContainer(const Call& call);
  void restoreContainer(const Call& call);
  void checkpointContainer(const Call& call);
  void cancelCheckpoint(const Call& call);
  void killContainer(const Call& call);
  void deleteContainer(const Call& call);
  void cancelDelete(const Call& call);
  void exec(const Call& call);
  void waitExec(const Call& call);
  void killExec(const Call& call);
  void attach(const Call& call);
  void resize(const Call& call);
  void closeStdin(const Call& call);
  void reopenLog(const Call& call);
  void list(const Call& call);
  void shutdown(const Call& call);

  // Null (and answered) when the request cannot be read, or names nothing that is there.
  template <typename Request>
  bool decode(const Call& call, Request& request);
  Container* find(const std::string& id);
  Container* findOrAnswer(const Call& call, const std::string& id);
  Exec* findExecOrAnswer(const Call& call, const std::string& id, const std::string& execId);
  void finish(const Call& call, const Status& status) { answerStatus(context_, call.to, status); }

  Context& context_;
  PacketServer server_;
  std::vector<std::unique_ptr<Container>> containers_;
};

// Unmounts and removes the pin of the pod's network namespace.
Status removeNetPin(const std::string& path);

}  // namespace berth::runc::monitor
