#include "docker_registry.hpp"

#include <chrono>
#include <crypt.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdexcept>
#include <stdlib.h>
#include <unistd.h>

#include "berth/support/files.hpp"
#include "content_helpers.hpp"
#include "token_server.hpp"

namespace berth::registry_test {
namespace {

constexpr std::chrono::seconds kPatience{30};

void require(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(std::string(status.message()));
}

std::string jsonDescriptor(const std::string& mediaType, const std::string& bytes,
                           const std::string& more = {}) {
  return R"({"mediaType":")" + mediaType + R"(","digest":")" + sha256(bytes) + R"(","size":)" +
         std::to_string(bytes.size()) + more + "}";
}

std::string hashed(const std::string& password) {
  char salt[CRYPT_GENSALT_OUTPUT_SIZE];
  crypt_data data{};
  if (::crypt_gensalt_rn("$2b$", 4, nullptr, 0, salt, sizeof salt) == nullptr)
    throw std::runtime_error("crypt_gensalt does not know bcrypt");
  return ::crypt_r(password.c_str(), salt, &data);
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() {
  char name[] = "/tmp/registry-v2-test-XXXXXX";
  if (::mkdtemp(name) == nullptr) throw std::runtime_error("mkdtemp");
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  (void)support::removeTree(path_);
}

void writeFile(const std::string& path, const std::string& content) {
  require(support::replaceFile(path, content, 0600, support::Durability::kVisible));
}

void runProgram(const std::vector<std::string>& argv) {
  const auto output =
      support::run({.argv = argv}, {}, {.deadline = std::chrono::steady_clock::now() + kPatience});
  require(output.status());
  if (output->exitCode != 0)
    throw std::runtime_error(argv[0] + ": " + output->standardOutput + output->standardError);
}

TestImage::TestImage(const std::string& directory) : layout(directory), layer(noise(3u << 20, 5)) {
  const std::string config = R"({"architecture":"amd64","os":"linux","rootfs":{"type":"layers",)"
                             R"("diff_ids":[")" +
                             sha256(layer) + R"("]}})";
  imageManifest = std::string(R"({"schemaVersion":2,"mediaType":")") + kManifestType +
                  R"(","config":)" + jsonDescriptor(kConfigType, config) + R"(,"layers":[)" +
                  jsonDescriptor(kLayerType, layer) + "]}";
  index = std::string(R"({"schemaVersion":2,"mediaType":")") + kIndexType + R"(","manifests":[)" +
          jsonDescriptor(kManifestType, imageManifest,
                         R"(,"platform":{"architecture":"amd64","os":"linux"})") +
          "]}";
  require(support::makeDirectories(layout + "/blobs/sha256"));
  for (const std::string& blob : {config, layer, imageManifest, index})
    writeFile(layout + "/blobs/sha256/" + sha256(blob).substr(7), blob);
  writeFile(layout + "/oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  writeFile(layout + "/index.json",
            R"({"schemaVersion":2,"manifests":[)" +
                jsonDescriptor(kIndexType, index,
                               R"(,"annotations":{"org.opencontainers.image.ref.name":"1"})") +
                "]}");
}

TestCertificates::TestCertificates(const TemporaryDirectory& directory)
    : authority(directory / "ca.pem"),
      serverCert(directory / "server.pem"),
      serverKey(directory / "server.key"),
      clientCert(directory / "client.pem"),
      clientKey(directory / "client.key") {
  const std::string authorityKey = directory / "ca.key";
  const auto make = [&](const std::string& cert, const std::string& key,
                        const std::vector<std::string>& more) {
    std::vector<std::string> argv = {
        "openssl", "req",   "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-nodes",  "-days", "2",     "-keyout", key,  "-out",     cert};
    argv.insert(argv.end(), more.begin(), more.end());
    runProgram(argv);
  };
  make(authority, authorityKey, {"-subj", "/CN=test authority"});
  make(serverCert, serverKey,
       {"-CA", authority, "-CAkey", authorityKey, "-subj", "/CN=server", "-addext",
        "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"});
  make(clientCert, clientKey,
       {"-CA", authority, "-CAkey", authorityKey, "-subj", "/CN=client", "-addext",
        "extendedKeyUsage=clientAuth", "-addext", "basicConstraints=critical,CA:FALSE"});
}

DockerRegistry::DockerRegistry(const TemporaryDirectory& directory, const std::string& name,
                               const RegistrySetup& setup)
    : setup_(setup) {
  std::string config =
      "version: 0.1\nlog: {level: info, accesslog: {disabled: true}}\n"
      "storage: {filesystem: {rootdirectory: " +
      (directory / name) + "}}\nhttp:\n  addr: 127.0.0.1:0\n";
  if (const TestCertificates* tls = setup.certificates) {
    config += "  tls:\n    certificate: " + tls->serverCert + "\n    key: " + tls->serverKey + "\n";
    if (setup.clients == RegistrySetup::Clients::kCertified)
      config += "    clientcas: [" + tls->authority + "]\n";
  }
  if (setup.tokens != nullptr) {
    config += "auth: {token: {realm: \"" + setup.tokens->realm() + "\", service: \"" +
              TokenServer::kService + "\", issuer: \"" + TokenServer::kIssuer +
              "\", rootcertbundle: " + setup.tokens->certificate() + "}}\n";
  } else if (!setup.user.empty()) {
    writeFile(directory / (name + ".htpasswd"), setup.user + ":" + hashed(setup.password) + "\n");
    config += "auth: {htpasswd: {realm: test, path: " + (directory / (name + ".htpasswd")) + "}}\n";
  }
  const std::string path = directory / (name + ".yml");
  writeFile(path, config);

  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
  output_.reset(pipe[0]);
  const support::Fd input(pipe[1]);
  auto process = support::spawn({.argv = {"docker-registry", "serve", path},
                                 .standardOutput = input.get(),
                                 .standardError = input.get()});
  require(process.status());
  process_ = *std::move(process);
  waitForPort();
}

// The kernel chose the port; the registry's log names it.
void DockerRegistry::waitForPort() {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  const std::string mark = "listening on ";
  std::string log;
  size_t found = std::string::npos;
  while (true) {
    found = log.find(mark);
    if (found != std::string::npos && log.find('\n', found) != std::string::npos) break;
    pollfd waiting{.fd = output_.get(), .events = POLLIN, .revents = 0};
    ::poll(&waiting, 1, 1000);
    char buffer[4096];
    const ssize_t n = waiting.revents != 0 ? ::read(output_.get(), buffer, sizeof buffer) : 0;
    if ((waiting.revents != 0 && n <= 0) || std::chrono::steady_clock::now() > end)
      throw std::runtime_error("docker-registry does not start: " + log);
    log.append(buffer, static_cast<size_t>(n));
  }
  found += mark.size();
  host_ = log.substr(found, log.find_first_of("\", \n", found) - found);
  // A full pipe would stop the registry.
  drain_ = std::thread([descriptor = output_.get()] {
    char buffer[4096];
    while (::read(descriptor, buffer, sizeof buffer) > 0) {
    }
  });
}

DockerRegistry::~DockerRegistry() {
  (void)process_.signal(SIGKILL);
  (void)process_.wait();
  drain_.join();
}

void DockerRegistry::push(const TestImage& image, const std::string& repository) const {
  std::vector<std::string> argv = {"skopeo",
                                   "copy",
                                   "--quiet",
                                   "--all",
                                   "--preserve-digests",
                                   "--insecure-policy",
                                   "--dest-tls-verify=false"};
  if (!setup_.user.empty()) argv.push_back("--dest-creds=" + setup_.user + ":" + setup_.password);
  argv.push_back("oci:" + image.layout + ":1");
  argv.push_back("docker://" + host_ + "/" + repository + ":1");
  runProgram(argv);
}

}  // namespace berth::registry_test
