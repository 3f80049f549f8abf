#include "berth/untar/extract.hpp"

#include "berth/support/status.hpp"
#include "extractor.hpp"

namespace berth::untar {
namespace {

using support::annotate;
using support::strCat;

std::string describe(const Entry& entry) {
  return strCat("unpack entry ", inQuotes(entry.name), " at offset ", entry.offset);
}

}  // namespace

absl::StatusOr<ExtractResult> extractLayer(int root, PieceSource source,
                                           const ExtractOptions& options) {
  TarReader reader(std::move(source), {.archiveBytes = options.maximumArchiveBytes});
  Extractor extractor(root, reader, options.observer);
  BERTH_RETURN_IF_ERROR(extractor.start());
  ExtractResult result;
  Entry entry;
  for (;;) {
    BERTH_ASSIGN_OR_RETURN(const bool more, reader.next(entry));
    if (!more) break;
    if (++result.entries > options.maximumEntries)
      return absl::ResourceExhaustedError(
          strCat("the layer has more than the limit of ", options.maximumEntries, " entries"));
    BERTH_RETURN_IF_ERROR(annotate(extractor.place(entry), describe(entry)));
  }
  result.archiveBytes = reader.offset();
  BERTH_RETURN_IF_ERROR(extractor.finish(result));
  return result;
}

}  // namespace berth::untar
