// `berth image pull`, `import`, `export`: images on their way to and from the running daemon.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <unistd.h>

#include "berth/support/status.hpp"
#include "main/daemon_socket.hpp"
#include "main/image_client.hpp"
#include "main/interruption.hpp"
#include "main/layout_writer.hpp"
#include "main/options.hpp"
#include "main/print.hpp"
#include "main/progress_display.hpp"

namespace berth::program {

namespace admin = berth::admin::v1;
using support::strCat;

namespace {

std::string joined(const google::protobuf::RepeatedPtrField<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += strCat(text.empty() ? "" : ", ", name);
  return text;
}

ProgressFigures figuresOf(const admin::Progress& progress) {
  return {progress.bytes(), progress.total_bytes(), progress.layers(), progress.total_layers()};
}

// Progress on standard error, what has arrived on standard output.
class Reports {
 public:
  void take(const admin::PullReport& report) {
    if (report.has_progress()) display_.show(figuresOf(report.progress()));
    if (!report.has_image()) return;
    display_.clear();
    print("%s  %s\n", report.image().id().c_str(), joined(report.image().names()).c_str());
    std::fflush(stdout);
  }
  void end() { display_.clear(); }

 private:
  ProgressDisplay display_{STDERR_FILENO};
};

// The daemon has another working directory.
std::string absolutePath(const std::string& path) {
  std::string absolute = std::filesystem::absolute(path).lexically_normal();
  while (absolute.size() > 1 && absolute.back() == '/') absolute.pop_back();
  return absolute;
}

absl::Status takePart(LayoutWriter& writer, const admin::ExportPart& part, admin::Exported& end) {
  switch (part.part_case()) {
    case admin::ExportPart::kData:
      return writer.write(part.data());
    case admin::ExportPart::kFile:
      return writer.finish(part.file());
    case admin::ExportPart::kDrop:
      return part.drop() ? writer.restart() : writer.drop();
    case admin::ExportPart::kEnd:
      end = part.end();
      return absl::OkStatus();
    default:
      // Without knowing what it means nothing can be written.
      return absl::UnimplementedError("the daemon is newer than this command");
  }
}

void tellOf(const admin::Exported& exported) {
  print("%s  %s\n", exported.id().c_str(), joined(exported.names()).c_str());
  if (!exported.rebuilt()) return;
  printError(
      "berth: the layers were written anew from what is unpacked: the content is the same, the "
      "digests and the id are others\n");
  if (!exported.reason().empty())
    printError("berth: as they were they could not be had: %s\n", exported.reason().c_str());
}

}  // namespace

int pullImage(const ConfigOptions& options, const ImageOptions& wanted) {
  const auto socket = findDaemon(options);
  if (!socket.ok()) return fail(socket.status());
  AskedImages asked(*socket);
  const Interruption interruption([&asked] { asked.cancel(); });
  admin::PullRequest request;
  request.set_image(wanted.image);
  request.set_snapshotter(wanted.snapshotter);
  request.set_platform(wanted.platform);
  Reports reports;
  const absl::Status pulled =
      asked.pull(request, [&](const admin::PullReport& report) { reports.take(report); });
  reports.end();
  return pulled.ok() ? 0 : fail(interruption.explain(pulled));
}

int importImages(const ConfigOptions& options, const ImageOptions& wanted) {
  const auto socket = findDaemon(options);
  if (!socket.ok()) return fail(socket.status());
  AskedImages asked(*socket);
  const Interruption interruption([&asked] { asked.cancel(); });
  admin::ImportRequest request;
  request.set_path(absolutePath(wanted.path));
  for (const std::string& name : wanted.images) request.add_names(name);
  request.set_snapshotter(wanted.snapshotter);
  request.set_platform(wanted.platform);
  Reports reports;
  const absl::Status imported =
      asked.import(request, [&](const admin::PullReport& report) { reports.take(report); });
  reports.end();
  return imported.ok() ? 0 : fail(interruption.explain(imported));
}

int exportImage(const ConfigOptions& options, const ImageOptions& wanted) {
  const auto socket = findDaemon(options);
  if (!socket.ok()) return fail(socket.status());
  AskedImages asked(*socket);
  const Interruption interruption([&asked] { asked.cancel(); });
  const std::string path = absolutePath(wanted.path);
  const auto writer = LayoutWriter::create(
      path, path.ends_with(".tar") ? LayoutForm::kArchive : LayoutForm::kFolder);
  if (!writer.ok()) return fail(writer.status());
  admin::ExportRequest request;
  request.set_image(wanted.image);
  if (wanted.original) request.set_layers(admin::EXPORT_ORIGINAL);
  if (wanted.offline) request.set_layers(admin::EXPORT_UNPACKED);
  admin::Exported end;
  const absl::Status exported = asked.exportTo(
      request, [&](const admin::ExportPart& part) { return takePart(**writer, part, end); });
  if (!exported.ok()) return fail(interruption.explain(exported));
  if (end.id().empty())
    return fail(absl::DataLossError("the daemon did not send all of the image"));
  if (const absl::Status written = (*writer)->commit(); !written.ok()) return fail(written);
  tellOf(end);
  return 0;
}

}  // namespace berth::program
