// What happens between clone() and execve(): the child shares the parent's memory, so it may only
// make system calls and write to its report.
#pragma once

#include <cstddef>
#include <cstdint>
#include <sys/resource.h>
#include <sys/types.h>

namespace berth::support {

enum class ChildStage { kNamespace, kSession, kLife, kDirectory, kDescriptors, kExecute };

// Written by the child, read by the parent once clone() has returned.
struct ChildReport {
  int error = 0;  // errno; 0 once the program runs
  ChildStage stage = ChildStage::kExecute;
  int detail = -1;  // the descriptor in question
};

struct Descriptor {
  int ours;
  int theirs;
  int copy = -1;  // the child's own, out of the way of all targets
};

// Everything points into memory of the parent, which waits until the child is through with it.
struct ChildPlan {
  const char* program;
  char* const* arguments;
  char* const* environment;
  const char* directory;  // null stays
  Descriptor* descriptors;
  size_t descriptorCount;
  int firstFree;  // above all targets
  const int* namespaces;
  size_t namespaceCount;
  bool newSession;
  pid_t endsWith;  // the process with whose thread it ends; 0 for none
  // For RLIMIT_NOFILE; null leaves it.
  const struct rlimit64* openFiles;
  ChildReport* report;
};

// For clone(); `plan` is a ChildPlan. Does not return to the parent's code: executes or exits.
int runChild(void* plan);

// rt_sigprocmask(SIG_SETMASK) without the C library, which spares its own signals. Bit n-1 stands
// for signal n.
void exchangeSignalMask(uint64_t mask, uint64_t* old);

}  // namespace berth::support
