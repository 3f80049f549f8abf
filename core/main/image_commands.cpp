// `berth image list`, `inspect`, `remove`, `pin`, `unpin`: the images that the running daemon has.
#include <algorithm>

#include <boost/json.hpp>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "main/daemon_socket.hpp"
#include "main/image_client.hpp"
#include "main/json_text.hpp"
#include "main/options.hpp"
#include "main/print.hpp"
#include "main/size_text.hpp"

namespace berth::program {

namespace json = boost::json;
using support::strCat;

namespace {

constexpr size_t kShortId = 12;

// "sha256:" and what tells it from others, which all commands take.
std::string shortId(const std::string& id) {
  const size_t colon = id.find(':');
  return id.substr(colon == std::string::npos ? 0 : colon + 1, kShortId);
}

// What an image is called in a list: its tags, or its digests when it has none.
std::vector<std::string> namesOf(const runtime::v1::Image& image) {
  std::vector<std::string> names(image.repo_tags().begin(), image.repo_tags().end());
  if (names.empty()) names.assign(image.repo_digests().begin(), image.repo_digests().end());
  if (names.empty()) names.push_back("-");
  return names;
}

void printTable(const std::vector<runtime::v1::Image>& images) {
  struct Row {
    std::string name;
    const runtime::v1::Image* image;
  };
  std::vector<Row> rows;
  size_t width = std::string_view("NAME").size();
  for (const runtime::v1::Image& image : images)
    for (const std::string& name : namesOf(image)) rows.push_back({name, &image});
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.name < b.name; });
  for (const Row& row : rows) width = std::max(width, row.name.size());
  print("%-*s  %-12s  %10s  %s\n", static_cast<int>(width), "NAME", "ID", "SIZE", "PINNED");
  for (const Row& row : rows)
    print("%-*s  %-12s  %10s  %s\n", static_cast<int>(width), row.name.c_str(),
          shortId(row.image->id()).c_str(), sizeText(row.image->size()).c_str(),
          row.image->pinned() ? "yes" : "no");
}

json::array jsonOf(const std::vector<runtime::v1::Image>& images) {
  const auto texts = [](const auto& list) {
    return support::jsonTexts(std::vector<std::string>(list.begin(), list.end()));
  };
  json::array rows;
  for (const runtime::v1::Image& image : images)
    rows.push_back(json::object{{"id", image.id()},
                                {"names", texts(image.repo_tags())},
                                {"digests", texts(image.repo_digests())},
                                {"size", image.size()},
                                {"pinned", image.pinned()}});
  return rows;
}

absl::Status removeOne(const std::string& socket, const std::string& image, bool force) {
  BERTH_ASSIGN_OR_RETURN(const runtime::v1::Image found, AskedImages(socket).status(image));
  if (found.pinned() && !force)
    return absl::FailedPreconditionError(
        strCat("image ", image, " is pinned; unpin it first, or remove it with --force"));
  BERTH_RETURN_IF_ERROR(AskedImages(socket).remove(image));
  print("%s\n", found.id().c_str());
  return absl::OkStatus();
}

absl::Status pinOne(const std::string& socket, const std::string& image, bool pinned) {
  BERTH_ASSIGN_OR_RETURN(const admin::v1::PinResponse response,
                         AskedImages(socket).pin(image, pinned));
  print("%s\n", response.id().c_str());
  if (!pinned && response.pinned())
    printError("berth: image %s stays pinned by the configuration, images.pinned\n", image.c_str());
  return absl::OkStatus();
}

// Does it for each, whatever becomes of the others.
int forEach(
    const ConfigOptions& options, const std::vector<std::string>& images,
    const std::function<absl::Status(const std::string& socket, const std::string&)>& work) {
  const auto socket = findDaemon(options);
  if (!socket.ok()) return fail(socket.status());
  int code = 0;
  for (const std::string& image : images)
    if (const absl::Status status = work(*socket, image); !status.ok()) code = fail(status);
  return code;
}

}  // namespace

int listImages(const ConfigOptions& options, const ImageOptions& wanted) {
  const auto socket = findDaemon(options);
  if (!socket.ok()) return fail(socket.status());
  const auto images = AskedImages(*socket).list();
  if (!images.ok()) return fail(images.status());
  if (wanted.json)
    print("%s", jsonText(jsonOf(*images)).c_str());
  else
    printTable(*images);
  return 0;
}

int inspectImage(const ConfigOptions& options, const ImageOptions& wanted) {
  const auto socket = findDaemon(options);
  if (!socket.ok()) return fail(socket.status());
  const auto text = AskedImages(*socket).inspect(wanted.image);
  if (!text.ok()) return fail(text.status());
  const auto value = support::parseJson(*text, "what the daemon says of the image");
  if (!value.ok()) return fail(value.status());
  print("%s", jsonText(*value).c_str());
  return 0;
}

int removeImages(const ConfigOptions& options, const ImageOptions& wanted) {
  return forEach(options, wanted.images, [&](const std::string& socket, const std::string& image) {
    return removeOne(socket, image, wanted.force);
  });
}

int pinImages(const ConfigOptions& options, const ImageOptions& wanted) {
  return forEach(options, wanted.images, [](const std::string& socket, const std::string& image) {
    return pinOne(socket, image, true);
  });
}

int unpinImages(const ConfigOptions& options, const ImageOptions& wanted) {
  return forEach(options, wanted.images, [](const std::string& socket, const std::string& image) {
    return pinOne(socket, image, false);
  });
}

}  // namespace berth::program
