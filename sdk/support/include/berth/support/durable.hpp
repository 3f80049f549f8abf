// Durable steps: what outlives the process that does it.
//
// Each primitive with such an effect (a record, a file, a mount, a process, a request to another
// program) tells of it by durableStep() as soon as the effect is there. In the released programs
// nobody listens, and all that is left is the comparison of an address with null. A program for
// crash tests defines `berth_durable_step` and ends its process there, so that every state which a
// crash can leave behind is met on purpose (tests/crash).
#pragma once

// Weak, so that it may be missing; visible, so that a plugin finds the program's. Any thread, and
// between fork() and execve() too: the definition allocates nothing and takes no lock.
extern "C" __attribute__((weak, visibility("default"))) void berth_durable_step(
    const char* primitive, const char* subject);

namespace berth::support {

// `primitive` names the step as tests/crash lists it, in words of the source; `subject` is what it
// was done to, a path or a name, and may be empty. errno stays as it is.
inline void durableStep(const char* primitive, const char* subject = "") {
  if (berth_durable_step != nullptr) berth_durable_step(primitive, subject);
}

}  // namespace berth::support
