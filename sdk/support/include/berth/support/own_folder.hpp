// Where code was loaded from: what is installed with a plugin lies beside its file.
#pragma once

#include <string>

namespace berth::support {

// The folder of the file that `code`, a function for example, was loaded from; "" when that is not
// known. One that another file has replaced since counts as being where it was.
std::string ownFolder(const void* code);

// The same of a file by the name that the loader has for it (dladdr(3)): that may be one of a
// descriptor, or have "/./" in it.
std::string folderOfLoaded(const std::string& name);

}  // namespace berth::support
