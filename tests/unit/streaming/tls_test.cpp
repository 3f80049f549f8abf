// The streaming server over TLS: who gets in, and what becomes of files that change.
#include "streaming/tls.hpp"

#include <filesystem>
#include <fstream>
#include <sys/resource.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "certificates.hpp"
#include "server_fixture.hpp"

namespace berth::streaming {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using namespace std::chrono_literals;

class TlsClient final : public SocketClient {
 public:
  // `identity` null: no certificate.
  TlsClient(uint16_t port, const Identity* identity, int version = 0)
      : SocketClient(port), context_(SSL_CTX_new(TLS_client_method())) {
    if (identity != nullptr) use(*identity);
    if (version != 0) SSL_CTX_set_max_proto_version(context_.get(), version);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), fd());
    ERR_clear_error();
    if (SSL_connect(ssl_.get()) != 1) noteError();
  }
  // What the server's certificate says.
  long serial() const {
    const std::unique_ptr<X509, Freed> shown(SSL_get1_peer_certificate(ssl_.get()));
    return shown ? ASN1_INTEGER_get(X509_get0_serialNumber(shown.get())) : 0;
  }
  // Why the server does not speak with the client; with TLS 1.3 it says so after the client's part
  // of the handshake.
  std::string refusal() {
    if (error_.empty()) {
      char byte = 0;
      EXPECT_LE(take(&byte, 1), 0);
    }
    return error_;
  }
  void sayGoodbye() { EXPECT_EQ(SSL_shutdown(ssl_.get()), 0); }

 protected:
  ssize_t transmit(const void* bytes, size_t size) override {
    ERR_clear_error();
    const int count = SSL_write(ssl_.get(), bytes, static_cast<int>(size));
    if (count <= 0) noteError();
    return count;
  }
  ssize_t take(void* into, size_t size) override {
    ERR_clear_error();
    const int count = SSL_read(ssl_.get(), into, static_cast<int>(size));
    if (count > 0) return count;
    if (SSL_get_error(ssl_.get(), count) == SSL_ERROR_ZERO_RETURN) return 0;
    noteError();
    return -1;
  }

 private:
  struct Freed {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    void operator()(SSL* ssl) const { SSL_free(ssl); }
    void operator()(X509* certificate) const { X509_free(certificate); }
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(BIO* memory) const { BIO_free(memory); }
  };

  void use(const Identity& identity) {
    const std::unique_ptr<BIO, Freed> first(BIO_new_mem_buf(
        identity.certificate.data(), static_cast<int>(identity.certificate.size())));
    const std::unique_ptr<X509, Freed> certificate(
        PEM_read_bio_X509(first.get(), nullptr, nullptr, nullptr));
    const std::unique_ptr<BIO, Freed> second(
        BIO_new_mem_buf(identity.key.data(), static_cast<int>(identity.key.size())));
    const std::unique_ptr<EVP_PKEY, Freed> key(
        PEM_read_bio_PrivateKey(second.get(), nullptr, nullptr, nullptr));
    EXPECT_EQ(SSL_CTX_use_certificate(context_.get(), certificate.get()), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(context_.get(), key.get()), 1);
  }
  void noteError() {
    const char* const reason = ERR_reason_error_string(ERR_peek_error());
    error_ = reason == nullptr ? "the connection was lost" : reason;
  }

  std::unique_ptr<SSL_CTX, Freed> context_;
  std::unique_ptr<SSL, Freed> ssl_;
  std::string error_;
};

class TlsTest : public ServerTest {
 protected:
  void SetUp() override {
    folder = testing::TempDir() + "berth-tls-XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    show(first);
    write("ca", clients.certificate());
  }
  void TearDown() override {
    server.reset();
    std::filesystem::remove_all(folder);
  }
  void startWith(const std::string& clientCa = "") {
    endCommandsAtOnce();
    start({.handshakeTimeout = 1h,
           .certificateFile = path("certificate"),
           .keyFile = path("key"),
           .clientCaFile = clientCa.empty() ? "" : path(clientCa)});
    (void)portForwardUrl();  // clients are served from the first URL on
  }
  std::string path(const std::string& name) const { return folder + "/" + name; }
  // As a careful administrator: a file is whole or not there.
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name) + ".new") << text;
    std::filesystem::rename(path(name) + ".new", path(name));
  }
  void show(const Identity& identity) const {
    write("certificate", identity.certificate);
    write("key", identity.key);
  }
  // The server's certificate's serial number, as a new client is shown it.
  long serial(const Identity* identity = nullptr) {
    return TlsClient(server->port(), identity).serial();
  }
  void expectServed(TlsClient& client) {
    EXPECT_THAT(exec(client, server->execUrl(command()).value_or("")), HasSubstr("Success"));
  }

  const Authority servers{"servers"};
  const Authority clients{"clients"};
  const Identity first = servers.issue("node", 101);
  const Identity second = servers.issue("node", 102);
  const Identity known = clients.issue("kubelet", 7);
  std::string folder;
};

TEST_F(TlsTest, ACommandOverTls) {
  startWith();
  const std::string url = server->execUrl(command()).value_or("");
  EXPECT_THAT(url, StartsWith("https://127.0.0.1:"));
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient client(server->port(), nullptr, version);
    EXPECT_EQ(client.serial(), 101);
    expectServed(client);
  }
}

// Else the client cannot know whether it has got everything.
TEST_F(TlsTest, TheEndIsThatOfTls) {
  startWith();
  TlsClient spdy(server->port(), nullptr);
  expectServed(spdy);
  spdy.sayGoodbye();
  spdy.receiveAll();
  // A refusal has one too.
  TlsClient refused(server->port(), nullptr);
  EXPECT_THAT(refused.upgrade("http://node/nothing", ""), StartsWith("HTTP/1.1 404"));
  refused.sayGoodbye();
  refused.receiveAll();
}

TEST_F(TlsTest, MuchGoesThroughInBothDirections) {
  startWith();
  TestCommand echo;
  runCommands({&echo});
  runtime::v1::ExecRequest request = command();
  request.set_stdin(true);
  TlsClient client(server->port(), nullptr);
  client.upgrade(server->execUrl(request).value_or(""), "v4.channel.k8s.io");
  client.send(client.spdy.syn(1, {{"streamtype", "error"}}));
  client.send(client.spdy.syn(3, {{"streamtype", "stdin"}}));
  client.send(client.spdy.syn(5, {{"streamtype", "stdout"}}));
  client.framesUntil("SYN_REPLY 5");
  echo.waitUntilItRuns();
  std::string all;
  for (int i = 0; i < 64; ++i) {
    const std::string part(1000, static_cast<char>('@' + i));
    client.send(spdy::Client::data(3, part));
    echo.write(echo.read(part.size()));
    all += part;
  }
  echo.exit(0);
  client.framesUntil("DATA 1 0 FIN");
  EXPECT_EQ(client.spdy.payloads[5], all);
}

TEST_F(TlsTest, OnlyClientsOfTheAuthorityGetIn) {
  startWith("ca");
  const Identity stranger = Authority("clients").issue("kubelet", 7);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    EXPECT_THAT(TlsClient(server->port(), nullptr, version).refusal(), HasSubstr("alert"));
    EXPECT_THAT(TlsClient(server->port(), &stranger, version).refusal(), HasSubstr("alert"));
    TlsClient client(server->port(), &known, version);
    expectServed(client);
  }
}

TEST_F(TlsTest, WhoSpeaksWithoutTlsIsNotServed) {
  startWith();
  SocketClient client(server->port());
  client.send(
      SocketClient::upgradeRequest(server->execUrl(command()).value_or(""), "v4.channel.k8s.io"));
  EXPECT_THAT(client.receiveAll(), testing::Not(HasSubstr("HTTP")));
}

TEST_F(TlsTest, AHelloThatDoesNotComeIsNotWaitedForForEver) {
  start({.handshakeTimeout = 1s, .certificateFile = path("certificate"), .keyFile = path("key")});
  (void)portForwardUrl();
  SocketClient silent(server->port());
  EXPECT_EQ(silent.receiveAll(), "");
}

TEST_F(TlsTest, NewFilesAreShownToNewClientsAndOpenSessionsGoOn) {
  startWith();
  TlsClient session(server->port(), nullptr);
  session.upgrade(portForwardUrl(), "portforward.k8s.io");
  show(second);
  EXPECT_EQ(serial(), 102);
  EXPECT_EQ(serial(), 102);
  session.send(spdy::Client::frame(spdy::Ping{.id = 1}));
  session.framesUntil("PING 1");
}

TEST_F(TlsTest, FilesThatDoNotBelongTogetherYetAreNotUsed) {
  startWith();
  write("certificate", second.certificate);
  EXPECT_EQ(serial(), 101);
  write("key", "half a");
  EXPECT_EQ(serial(), 101);
  std::filesystem::remove(path("key"));
  EXPECT_EQ(serial(), 101);
  write("key", second.key);
  EXPECT_EQ(serial(), 102);
}

TEST_F(TlsTest, AnAuthorityThatWasWithdrawnAdmitsNobodyAnyMore) {
  startWith("ca");
  TlsClient session(server->port(), &known);
  session.upgrade(portForwardUrl(), "portforward.k8s.io");
  const Authority others("others");
  write("ca", others.certificate());
  EXPECT_THAT(TlsClient(server->port(), &known).refusal(), HasSubstr("alert"));
  const Identity other = others.issue("kubelet", 8);
  TlsClient client(server->port(), &other);
  expectServed(client);
  session.send(spdy::Client::frame(spdy::Ping{.id = 1}));
  session.framesUntil("PING 1");
  // Both may be there at the same time.
  write("ca", clients.certificate() + others.certificate());
  TlsClient again(server->port(), &known);
  expectServed(again);
  TlsClient more(server->port(), &other);
  expectServed(more);
  // What is no certificate leaves those before in force.
  write("ca", "nothing");
  TlsClient last(server->port(), &known);
  expectServed(last);
}

// The files are good: what was missing for them is there again without a change of theirs.
TEST_F(TlsTest, WhatCouldNotBeReadOnceIsReadAgain) {
  auto contexts = TlsContexts::load({path("certificate"), path("key"), ""});
  ASSERT_TRUE(contexts.ok()) << contexts.status();
  const TlsContexts::Context before = (*contexts)->current();
  show(second);
  rlimit usual{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &usual), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = usual.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  EXPECT_EQ((*contexts)->current(), before);
  const auto failed = std::chrono::steady_clock::now();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &usual), 0);
  while ((*contexts)->current() == before) {
    ASSERT_LT(std::chrono::steady_clock::now(), failed + 60s);
    std::this_thread::yield();
  }
  // Not for each who connects.
  EXPECT_GE(std::chrono::steady_clock::now(), failed + 900ms);
}

}  // namespace
}  // namespace berth::streaming
