// Image references, by the daemon's grammar and by the registry plugin's.
#include "images/reference.hpp"

#include "reference.hpp"
#include "target.hpp"

namespace berth::fuzz {
namespace {

void run(std::string_view text) {
  (void)registry::namesRegistry(text);
  (void)registry::isLoopback(text);
  (void)registry::hostWithoutPort(text);
  const auto direct = registry::parseReference(text);
  if (direct.ok()) demand(!direct->target().empty(), "a reference leads to something");

  const auto reference = images::parseReference(text);
  if (!reference.ok()) return;
  const std::string full = reference->full();
  const auto again = images::parseReference(full);
  demand(again.ok() && again->full() == full, "a complete reference is complete");
  demand(full.find('\0') == std::string::npos && full.find('\n') == std::string::npos,
         "a reference is one line of text");
  demand(full.size() < 1024, "a reference is bounded");
  // What the daemon takes, the plugin must take too, or say what is wrong with it.
  const auto asked = registry::parseReference(full);
  if (!asked.ok()) return;
  demand(asked->host == reference->registry && asked->path == reference->repository &&
             asked->tag == reference->tag && asked->digest == reference->digest,
         "what a policy judges is what is pulled");
}

std::vector<std::string> seeds() {
  const std::string digest = "@sha256:" + std::string(64, '0');
  return {"busybox",
          "library/busybox:1.36",
          "docker.io/library/busybox",
          "registry.example:5000/a/b-c_d__e.f:v1",
          "[2001:db8::1]:5000/a:1",
          "localhost/x",
          "a.example/b" + digest,
          "a.example/b:tag" + digest,
          "index.docker.io/x",
          "Index.docker.io/x/y",
          "DOCKER.IO/x"};
}

}  // namespace

const Target kReference{run, seeds};

}  // namespace berth::fuzz
