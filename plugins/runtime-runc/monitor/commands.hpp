// The program's commands; each returns the exit code.
#pragma once

namespace berth::runc::monitor {

int startCommand();
int inspectCommand(const char* runDir);

}  // namespace berth::runc::monitor
