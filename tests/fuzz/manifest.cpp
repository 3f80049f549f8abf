// Manifests, indexes and configurations of images.
#include "images/manifest.hpp"

#include "common/image_config.hpp"
#include "images/artifact.hpp"
#include "manifest.hpp"
#include "target.hpp"

namespace berth::fuzz {
namespace {

void check(const images::Index& index) {
  for (const char* wanted : {"linux/amd64", "linux/arm64/v8", "linux/arm/v7"}) {
    const auto chosen = images::choose(index, *images::parsePlatform(wanted));
    if (!chosen.ok()) continue;
    demand(chosen->digest.size() == 71, "what is chosen can be fetched");
  }
}

void check(const images::Manifest& manifest) {
  demand(manifest.config.digest.size() == 71, "a configuration can be fetched");
  for (const auto& layer : manifest.layers) demand(layer.digest.size() == 71, "a layer can, too");
  (void)images::isArtifact(manifest, "{}");
}

void run(std::string_view text) {
  (void)images::parsePlatform(text);
  (void)registry::manifestMediaType("", text);
  (void)registry::manifestMediaType("application/vnd.oci.image.index.v1+json", text);
  const auto config = common::parseImageConfig(text, "the configuration");
  if (config.ok()) {
    for (const std::string& id : config->diffIds) demand(id.size() == 71, "diff IDs are digests");
  }
  const auto document = images::parseDocument(text, "");
  if (document.ok()) std::visit([](const auto& known) { check(known); }, *document);
}

std::vector<std::string> seeds() {
  const std::string digest = "\"digest\":\"sha256:" + std::string(64, 'a') + "\",\"size\":1234";
  const auto descriptor = [&](const std::string& type, const std::string& more) {
    return "{\"mediaType\":\"" + type + "\"," + digest + more + "}";
  };
  const std::string oci = "application/vnd.oci.image.";
  const std::string docker = "application/vnd.docker.";
  return {
      R"({"schemaVersion":2,"mediaType":")" + oci + R"(manifest.v1+json","config":)" +
          descriptor(oci + "config.v1+json", "") + R"(,"layers":[)" +
          descriptor(oci + "layer.v1.tar+gzip", "") + "," +
          descriptor(oci + "layer.v1.tar+zstd",
                     R"(,"urls":["https://a.example/b"],"annotations":{"k":"v"})") +
          "]}",
      R"({"schemaVersion":2,"mediaType":")" + oci + R"(index.v1+json","manifests":[)" +
          descriptor(oci + "manifest.v1+json",
                     R"(,"platform":{"os":"linux","architecture":"amd64"})") +
          "," +
          descriptor(oci + "manifest.v1+json",
                     R"(,"platform":{"os":"linux","architecture":"arm64","variant":"v8"})") +
          "]}",
      R"({"schemaVersion":2,"mediaType":")" + docker +
          R"(distribution.manifest.v2+json","config":)" +
          descriptor(docker + "container.image.v1+json", "") + R"(,"layers":[)" +
          descriptor(docker + "image.rootfs.diff.tar.gzip", "") + "]}",
      R"({"schemaVersion":1,"fsLayers":[]})",
      R"({"architecture":"amd64","os":"linux","config":{"Env":["A=b"],"Cmd":["sh"],)"
      R"("Entrypoint":null,"User":"1:2","Volumes":{"/v":{}},"ExposedPorts":{"80/tcp":{}},)"
      R"("Labels":{"a":"b"}},"rootfs":{"type":"layers","diff_ids":["sha256:)" +
          std::string(64, 'b') + R"("]},"history":[{"created_by":"x","empty_layer":true}]})",
      "linux/arm64/v8",
  };
}

}  // namespace

const Target kManifest{run, seeds};

}  // namespace berth::fuzz
