#include "source.hpp"

#include <chrono>

#include "berth/support/status.hpp"

namespace berth::layout {

using support::strCat;

namespace {

constexpr std::string_view kFileScheme = "file://";

Check checkOf(const Op& op) {
  return [&op] {
    if (!op.cancelled()) return absl::OkStatus();
    // libstdc++'s steady clock is CLOCK_MONOTONIC, on which the ABI's deadlines are.
    const std::chrono::nanoseconds now = std::chrono::steady_clock::now().time_since_epoch();
    return now.count() >= op.deadline() ? absl::DeadlineExceededError("the deadline has passed")
                                        : absl::CancelledError("the call is not wanted any more");
  };
}

// The path of a reference of this source's own kind; empty for others.
std::string pathOf(std::string_view reference) {
  return reference.starts_with(kFileScheme) ? std::string(reference.substr(kFileScheme.size()))
                                            : std::string();
}

// A failure of the sink ends the call with the host's own code.
absl::Status write(Sink& out, std::string_view bytes) {
  const Status status = out.write(bytes);
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.code()), status.message());
}

// Hands on at most as many bytes as the descriptor has.
std::function<absl::Status(std::string_view)> bounded(Sink& out, const Descriptor& descriptor,
                                                      uint64_t offset) {
  return [&out, &descriptor, done = offset](std::string_view bytes) mutable {
    if (bytes.size() > descriptor.size - done)
      return absl::DataLossError(strCat("the file of ", descriptor.digest, " is larger than the ",
                                        descriptor.size, " bytes of its descriptor"));
    done += bytes.size();
    return write(out, bytes);
  };
}

}  // namespace

Status LayoutSource::configure(std::string_view options) {
  auto parsed = parseOptions(options);
  if (!parsed.ok()) return parsed.status();
  options_ = *std::move(parsed);
  return {};
}

bool LayoutSource::serves(std::string_view reference) {
  return !options_.paths.empty() || reference.starts_with(kFileScheme);
}

Status LayoutSource::resolve(const Op& op, const ImageRequest& request, uint64_t limit,
                             Resolved& out) {
  op.stage(strCat("look for ", request.reference));
  auto place = placeOf(checkOf(op), request.reference);
  if (!place.ok()) return place.status();
  Document* document = &place->document;
  if (document->bytes.size() > limit)
    return absl::ResourceExhaustedError(strCat("the manifest of ", request.reference, " has ",
                                               document->bytes.size(), " bytes; the limit is ",
                                               limit));
  out.mediaType = std::move(document->mediaType);
  out.digest = std::move(document->digest);
  out.document = std::move(document->bytes);
  return {};
}

Status LayoutSource::fetch(const Op& op, const ImageRequest& request, const Descriptor& descriptor,
                           uint64_t offset, Sink& out) {
  const std::string doing = strCat("fetch ", descriptor.digest, " of ", request.reference);
  op.stage(doing);
  if (offset > descriptor.size)
    return absl::OutOfRangeError(
        strCat(doing, ": the offset ", offset, " is past its size of ", descriptor.size, " bytes"));
  return support::annotate(fetchBlob(checkOf(op), request.reference, descriptor, offset, out),
                           doing);
}

Status LayoutSource::origin(const Op& op, const ImageRequest& request, std::string_view digest,
                            ImageOrigin& out) {
  auto place = placeOf(checkOf(op), request.reference);
  if (!place.ok()) return place.status();
  // Whatever a file's index leads to comes from that file.
  if (pathOf(request.reference).empty() && place->document.digest != digest)
    return {BERTH_NOT_FOUND, strCat(request.reference, " has become another image in ", place->path,
                                    " by now; pull it again")};
  // Scopes of policies are paths without links, and of what was read: links may be changed.
  out.transport = std::move(place->transport);
  out.location = std::move(place->location);
  return {};
}

// None of the forms keeps any.
Status LayoutSource::signatures(const Op& /*op*/, const ImageRequest& /*request*/,
                                std::string_view /*digest*/, SignatureList& /*out*/) {
  return {};
}

absl::StatusOr<LayoutSource::Place> LayoutSource::placeOf(const Check& check,
                                                          std::string_view reference) {
  const std::string path = pathOf(reference);
  if (path.empty()) return findConfigured(check, reference);
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<const ImageSet> set, sets_.at(path, check));
  return Place{set->everything(), path, set->transport(), set->location()};
}

absl::StatusOr<LayoutSource::Place> LayoutSource::findConfigured(const Check& check,
                                                                 std::string_view reference) {
  size_t looked = 0;
  for (const std::string& path : options_.paths) {
    for (const std::string& one : Sets::within(path)) {
      BERTH_RETURN_IF_ERROR(check());
      const auto set = usable(one, check);
      if (!set.ok()) continue;
      ++looked;
      auto document = (*set)->find(reference);
      if (document.ok()) {
        return Place{*std::move(document), one, (*set)->transport(), (*set)->location()};
      }
      if (!absl::IsNotFound(document.status()))
        return support::annotate(document.status(), strCat(reference, " in ", one));
    }
  }
  return absl::NotFoundError(
      strCat("none of the ", looked, " folders and archives in paths has ", reference));
}

absl::Status LayoutSource::fetchBlob(const Check& check, std::string_view reference,
                                     const Descriptor& descriptor, uint64_t offset, Sink& out) {
  const std::string digest(descriptor.digest);
  if (const std::string path = pathOf(reference); !path.empty()) {
    BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<const ImageSet> set, sets_.at(path, check));
    return set->blob(digest, offset, check, bounded(out, descriptor, offset));
  }
  // Content is what its digest says, wherever it lies.
  for (const std::string& path : options_.paths) {
    for (const std::string& one : Sets::within(path)) {
      BERTH_RETURN_IF_ERROR(check());
      const auto set = usable(one, check);
      if (!set.ok()) continue;
      absl::Status status = (*set)->blob(digest, offset, check, bounded(out, descriptor, offset));
      if (!absl::IsNotFound(status)) return status;
    }
  }
  return absl::NotFoundError("none of the folders and archives in paths has it");
}

absl::StatusOr<std::shared_ptr<const ImageSet>> LayoutSource::usable(const std::string& path,
                                                                     const Check& check) {
  auto set = sets_.at(path, check);
  std::lock_guard lock(mutex_);
  if (set.ok()) {
    complained_.erase(path);
  } else if (check().ok() && complained_.insert(path).second) {
    host().warn("images in a file cannot be used",
                {{"file", path}, {"error", support::fromAbsl(set.status().message())}});
  }
  return set;
}

}  // namespace berth::layout
