#include "main/image_admin.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <boost/json.hpp>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "cri/convert.hpp"

namespace berth::program {

namespace admin = berth::admin::v1;
namespace json = boost::json;
using support::strCat;

namespace {

using ReportWriter = grpc::ServerWriter<admin::PullReport>;

// Tells a client how far a pull is, from a thread of its own, for as long as it exists.
class Reporter {
 public:
  Reporter(const images::PullProgress& progress, ReportWriter& writer)
      : progress_(progress), writer_(writer) {
    // Without a thread the client only hears of the end.
    if (auto thread = support::startThread([this] { run(); }); thread.ok())
      thread_ = *std::move(thread);
  }
  ~Reporter() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
    tellProgress();
  }
  Reporter(const Reporter&) = delete;
  Reporter& operator=(const Reporter&) = delete;

  void arrived(const images::Image& image, const std::vector<std::string>& names) {
    admin::PullReport report;
    report.mutable_image()->set_id(image.id);
    for (const std::string& name : names) report.mutable_image()->add_names(name);
    std::lock_guard lock(mutex_);
    tellProgress();
    writer_.Write(report);
  }

 private:
  void run() {
    constexpr std::chrono::milliseconds kPause{200};
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, kPause, [this] { return stopping_; })) tellProgress();
  }

  void tellProgress() {
    const images::PullProgress::Figures now = progress_.read();
    if (now == told_) return;
    told_ = now;
    admin::PullReport report;
    report.mutable_progress()->set_bytes(now.bytes);
    report.mutable_progress()->set_total_bytes(now.totalBytes);
    report.mutable_progress()->set_layers(now.layers);
    report.mutable_progress()->set_total_layers(now.totalLayers);
    // A client that has gone cancels the operation.
    writer_.Write(report);
  }

  const images::PullProgress& progress_;
  ReportWriter& writer_;
  std::mutex mutex_;  // also of the writer
  std::condition_variable wake_;
  bool stopping_ = false;
  images::PullProgress::Figures told_;
  std::thread thread_;
};

// Hands an export on to a client, which takes it at its own pace.
class StreamTarget : public images::LayoutTarget {
 public:
  explicit StreamTarget(grpc::ServerWriter<admin::ExportPart>& writer) : writer_(writer) {}

  absl::Status write(std::string_view bytes) override {
    // Well below what clients take in a message.
    constexpr size_t kPiece = 1u << 20;
    while (!bytes.empty()) {
      const std::string_view piece = bytes.substr(0, kPiece);
      bytes.remove_prefix(piece.size());
      admin::ExportPart part;
      part.set_data(piece.data(), piece.size());
      BERTH_RETURN_IF_ERROR(send(part));
    }
    return absl::OkStatus();
  }
  absl::Status finish(const std::string& path) override {
    admin::ExportPart part;
    part.set_file(path);
    return send(part);
  }
  absl::Status drop() override { return sendDrop(false); }
  absl::Status restart() override { return sendDrop(true); }
  absl::Status end(const images::Exported& exported) {
    admin::ExportPart part;
    admin::Exported& end = *part.mutable_end();
    end.set_id(exported.id);
    end.set_manifest_digest(exported.manifestDigest);
    for (const std::string& name : exported.names) end.add_names(name);
    end.set_rebuilt(exported.rebuilt);
    end.set_reason(exported.reason);
    return send(part);
  }

 private:
  absl::Status sendDrop(bool all) {
    admin::ExportPart part;
    part.set_drop(all);
    return send(part);
  }
  absl::Status send(const admin::ExportPart& part) {
    if (writer_.Write(part)) return absl::OkStatus();
    return absl::CancelledError("the client has gone");
  }

  grpc::ServerWriter<admin::ExportPart>& writer_;
};

images::ExportLayers layersOf(admin::ExportLayers given) {
  if (given == admin::EXPORT_ORIGINAL) return images::ExportLayers::kOriginal;
  if (given == admin::EXPORT_UNPACKED) return images::ExportLayers::kUnpacked;
  return images::ExportLayers::kAny;
}

// What does not parse is shown as it is.
json::value parsed(const std::string& text) {
  auto value = support::parseJson(text, "");
  return value.ok() ? *std::move(value) : json::value(text);
}

json::object describe(const images::Image& image, const images::ImageContent& content,
                      const std::vector<std::string>& pinned) {
  json::array layers;
  for (size_t i = 0; i < image.layers.size(); ++i) {
    json::object layer;
    if (i < content.layers.size())
      layer = {{"mediaType", content.layers[i].mediaType},
               {"digest", content.layers[i].digest},
               {"size", content.layers[i].size}};
    layer["diffId"] = image.layers[i].diffId;
    layer["chainId"] = image.layers[i].chainId;
    layers.push_back(std::move(layer));
  }
  return {{"id", image.id},
          {"names", support::jsonTexts(image.repoTags)},
          {"digests", support::jsonTexts(image.repoDigests)},
          {"manifestDigest", image.manifestDigest},
          {"size", image.size},
          {"pinned", cri::toCri(image, pinned).pinned()},
          {"source", content.source},
          {"layers", std::move(layers)},
          {"config", parsed(content.config)},
          {"manifest", parsed(content.manifest)}};
}

}  // namespace

engine::Deadline ImageAdmin::deadlineOf(const grpc::ServerContext& context) const {
  const engine::Deadline deadline = cri::deadlineOf(context);
  if (settings_.pullDeadline.count() <= 0) return deadline;
  return std::min(deadline, engine::Deadline::clock::now() + settings_.pullDeadline);
}

grpc::Status ImageAdmin::Pull(grpc::ServerContext* context, const admin::PullRequest* request,
                              ReportWriter* writer) {
  plugins::Operation op(strCat("PullImage ", request->image()), deadlineOf(*context));
  const cri::CallWatch::Guard guard(calls_, *context, op);
  images::PullProgress progress;
  Reporter reporter(progress, *writer);
  const auto image = images_.pull(op, request->image(), nullptr,
                                  {request->snapshotter(), request->platform()}, &progress);
  if (image.ok()) reporter.arrived(**image, {request->image()});
  return cri::toGrpc(image.status());
}

grpc::Status ImageAdmin::Import(grpc::ServerContext* context, const admin::ImportRequest* request,
                                ReportWriter* writer) {
  if (request->path().empty() || request->path().front() != '/')
    return cri::toGrpc(absl::InvalidArgumentError(
        strCat("Import: \"", request->path(), "\" is no absolute path")));
  plugins::Operation op(strCat("ImportImage ", request->path()), cri::deadlineOf(*context));
  const cri::CallWatch::Guard guard(calls_, *context, op);
  images::PullProgress progress;
  Reporter reporter(progress, *writer);
  const images::ImportRequest wanted{request->path(),
                                     {request->names().begin(), request->names().end()},
                                     {request->snapshotter(), request->platform()}};
  return cri::toGrpc(
      images_.importImages(op, wanted, &progress,
                           [&](const images::Image& image, const std::vector<std::string>& names) {
                             reporter.arrived(image, names);
                           }));
}

grpc::Status ImageAdmin::Export(grpc::ServerContext* context, const admin::ExportRequest* request,
                                grpc::ServerWriter<admin::ExportPart>* writer) {
  plugins::Operation op(strCat("ExportImage ", request->image()), cri::deadlineOf(*context));
  const cri::CallWatch::Guard guard(calls_, *context, op);
  StreamTarget target(*writer);
  const auto exported =
      images_.exportImage(op, {request->image(), layersOf(request->layers())}, target);
  return cri::toGrpc(exported.ok() ? target.end(*exported) : exported.status());
}

grpc::Status ImageAdmin::Inspect(grpc::ServerContext* /*context*/,
                                 const admin::InspectRequest* request,
                                 admin::InspectResponse* response) {
  const auto image = images_.find(request->image());
  if (!image.ok()) return cri::toGrpc(image.status());
  const auto content = images_.content(**image);
  if (!content.ok()) return cri::toGrpc(content.status());
  response->set_json(json::serialize(describe(**image, *content, settings_.pinned)));
  return grpc::Status::OK;
}

grpc::Status ImageAdmin::Pin(grpc::ServerContext* /*context*/, const admin::PinRequest* request,
                             admin::PinResponse* response) {
  const auto image = images_.setPinned(request->image(), request->pinned());
  if (!image.ok()) return cri::toGrpc(image.status());
  response->set_id((*image)->id);
  response->set_pinned(cri::toCri(**image, settings_.pinned).pinned());
  return grpc::Status::OK;
}

}  // namespace berth::program
