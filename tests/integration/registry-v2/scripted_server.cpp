#include "scripted_server.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cctype>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>

namespace berth::registry_test {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool sendAll(int socket, const std::string& data) {
  size_t done = 0;
  while (done < data.size()) {
    const ssize_t n = ::send(socket, data.data() + done, data.size() - done, MSG_NOSIGNAL);
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

bool receiveMore(int socket, std::string& pending) {
  char buffer[16384];
  const ssize_t n = ::recv(socket, buffer, sizeof buffer, 0);
  if (n <= 0) return false;
  pending.append(buffer, static_cast<size_t>(n));
  return true;
}

void parseHead(const std::string& head, Received& out) {
  const size_t lineEnd = head.find("\r\n");
  const std::string line = head.substr(0, lineEnd);
  const size_t first = line.find(' ');
  const size_t second = line.find(' ', first + 1);
  out.method = line.substr(0, first);
  const std::string target = line.substr(first + 1, second - first - 1);
  const size_t question = target.find('?');
  out.path = target.substr(0, question);
  if (question != std::string::npos) out.query = target.substr(question + 1);
  size_t position = lineEnd + 2;
  while (position < head.size()) {
    const size_t end = head.find("\r\n", position);
    const std::string field = head.substr(position, end - position);
    const size_t colon = field.find(": ");
    if (colon != std::string::npos)
      out.headers[lower(field.substr(0, colon))] = field.substr(colon + 2);
    position = end + 2;
  }
}

}  // namespace

ScriptedServer::ScriptedServer(Handler handler) : handler_(std::move(handler)) {
  listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_.get(), generic, length) != 0 || ::listen(listener_.get(), 64) != 0 ||
      ::getsockname(listener_.get(), generic, &length) != 0)
    throw std::runtime_error("cannot listen on a loopback port");
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept(); });
}

ScriptedServer::~ScriptedServer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    ::shutdown(listener_.get(), SHUT_RDWR);
    for (Connection& connection : connections_) ::shutdown(connection.socket.get(), SHUT_RDWR);
  }
  acceptor_.join();
  for (Connection& connection : connections_) connection.thread.join();
}

std::string ScriptedServer::host() const {
  return "127.0.0.1:" + std::to_string(port_);
}

std::string ScriptedServer::origin() const {
  return "http://" + host();
}

std::vector<Received> ScriptedServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

size_t ScriptedServer::connections() const {
  const std::lock_guard lock(mutex_);
  return connections_.size();
}

void ScriptedServer::accept() {
  while (true) {
    support::Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const std::lock_guard lock(mutex_);
    if (!socket || stopping_) return;
    const int descriptor = socket.get();
    connections_.push_back({std::move(socket), {}});
    connections_.back().thread = std::thread([this, descriptor] { serve(descriptor); });
  }
}

void ScriptedServer::serve(int socket) {
  std::string pending;
  while (answer(socket, pending)) {
  }
  // The descriptor stays with its owner, so that no other takes its number in the meantime.
  ::shutdown(socket, SHUT_RDWR);
}

bool ScriptedServer::answer(int socket, std::string& pending) {
  Received request;
  if (!readRequest(socket, pending, request)) return false;
  Reply reply;
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
    reply = handler_(request);
  }
  return send(socket, reply);
}

bool ScriptedServer::readRequest(int socket, std::string& pending, Received& out) {
  size_t end = 0;
  while ((end = pending.find("\r\n\r\n")) == std::string::npos)
    if (!receiveMore(socket, pending)) return false;
  parseHead(pending.substr(0, end + 2), out);
  pending.erase(0, end + 4);
  const std::string length = out.header("content-length");
  const size_t expected = length.empty() ? 0 : std::stoul(length);
  while (pending.size() < expected)
    if (!receiveMore(socket, pending)) return false;
  out.body = pending.substr(0, expected);
  pending.erase(0, expected);
  return true;
}

bool ScriptedServer::send(int socket, const Reply& reply) {
  std::string head = "HTTP/1.1 " + std::to_string(reply.status) + " Scripted\r\n";
  for (const auto& [name, value] : reply.headers) head += name + ": " + value + "\r\n";
  const size_t declared = reply.declaredLength.value_or(reply.body.size());
  const bool undeclared = declared == Reply::kUndeclared;
  head +=
      undeclared ? "Connection: close\r\n" : "Content-Length: " + std::to_string(declared) + "\r\n";
  if (!sendAll(socket, head + "\r\n" + reply.body.substr(0, reply.cut))) return false;
  if (reply.ending == Reply::Ending::kDrip) {
    for (size_t at = reply.cut; at < reply.body.size(); ++at) {
      std::this_thread::sleep_for(reply.pause);
      if (!sendAll(socket, reply.body.substr(at, 1))) return false;
    }
  }
  if (reply.ending == Reply::Ending::kStall) {
    // Silent until the other side gives up or the server ends.
    std::string ignored;
    while (receiveMore(socket, ignored)) {
    }
  }
  return reply.ending == Reply::Ending::kKeepAlive && !undeclared;
}

}  // namespace berth::registry_test
