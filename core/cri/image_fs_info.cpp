#include "berth/support/clock.hpp"
#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "cri/image_service.hpp"
#include "cri/own_call.hpp"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

using Filesystem = plugins::Snapshotter::Filesystem;

// A snapshotter may look through all that it has.
constexpr engine::Rounds::Times kTimes{.patience = std::chrono::seconds(10)};

void add(const Filesystem& filesystem, v1::ImageFsInfoResponse& response) {
  v1::FilesystemUsage* usage = response.add_image_filesystems();
  usage->set_timestamp(support::nowNanoseconds());
  usage->mutable_fs_id()->set_mountpoint(filesystem.path);
  usage->mutable_used_bytes()->set_value(filesystem.usage.bytes);
  usage->mutable_inodes_used()->set_value(filesystem.usage.inodes);
  // Writable layers lie beside the images' layers.
  *response.add_container_filesystems() = *usage;
}

// That of the default snapshotter first: the kubelet looks at the first one alone. Another one that
// does not answer is left out.
absl::Status addAll(engine::Engine& engine, const plugins::Operation& op,
                    v1::ImageFsInfoResponse& response) {
  std::vector<std::string> names;
  std::vector<plugins::Snapshotter*> asked;
  for (const auto& [name, snapshotter] : engine.registry().snapshotters()) {
    const bool standard = name == engine.settings().snapshotter;
    names.insert(standard ? names.begin() : names.end(), "snapshotter " + name);
    asked.insert(standard ? asked.begin() : asked.end(), snapshotter);
  }
  const auto answers = engine.operations().rounds().ask<Filesystem>(
      op, names,
      [asked](size_t i, const plugins::Operation& own) { return asked[i]->filesystem(own); },
      kTimes);
  for (size_t i = 0; i < answers.size(); ++i) {
    if (answers[i].ok()) {
      add(*answers[i], response);
    } else if (i == 0) {
      return answers[i].status();
    } else {
      common::logWarning(
          "the file system of layers cannot be told",
          {{"snapshotter", names[i]}, {"error", support::fromAbsl(answers[i].status().message())}});
    }
  }
  return absl::OkStatus();
}

}  // namespace

grpc::Status ImageService::ImageFsInfo(grpc::ServerContext* context,
                                       const v1::ImageFsInfoRequest* /*request*/,
                                       v1::ImageFsInfoResponse* response) {
  return answerOwn<v1::ImageFsInfoResponse>(
      engine_.operations(), *context, "ImageFsInfo", deadlineOf(*context), *response,
      [&engine = engine_](plugins::Operation& op, v1::ImageFsInfoResponse& answer) {
        return addAll(engine, op, answer);
      });
}

}  // namespace berth::cri
