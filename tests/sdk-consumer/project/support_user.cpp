// Links both optional libraries of the SDK.
#include <berth/support/files.hpp>
#include <berth/support/status.hpp>
#include <berth/untar/tar_reader.hpp>

int main() {
  const absl::Status status =
      berth::support::annotate(absl::NotFoundError("nothing"), "use the support library");
  return status.message() == "use the support library: nothing" ? 0 : 1;
}
