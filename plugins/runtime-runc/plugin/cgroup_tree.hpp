// The directories below a cgroup, and the processes and threads in them.
#pragma once

#include <functional>
#include <string>
#include <sys/types.h>
#include <vector>

#include <absl/status/status.h>

namespace berth::runc {

// Appends the cgroup's directory and those below it, children before their parents. Nothing when it
// does not exist; an error says that it cannot be looked at.
absl::Status listCgroupTree(const std::string& directory, std::vector<std::string>& out);

// Whether cgroups may lie below it: costs one look, where listing costs many.
bool mayHaveChildren(const std::string& directory);

// Calls `take` for each number in the file `name` ("cgroup.procs") of the cgroup and of those below
// it, until it returns false. Numbers that stand for processes out of reach (0) are left out. A
// cgroup that does not exist has none.
void forEachNumber(const std::string& directory, const char* name,
                   const std::function<bool(pid_t)>& take);

}  // namespace berth::runc
