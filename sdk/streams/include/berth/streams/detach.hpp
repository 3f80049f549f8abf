// A program's way into the background.
#pragma once

#include "berth/support/fd.hpp"

namespace berth::streams {

// Leaves the starter's session, folder, standard streams and descriptors; only `starter` stays,
// under another number. Ends the process when it cannot. For a child of one's own alone.
support::Fd detach(support::Fd starter);

}  // namespace berth::streams
