// Every message of the protocol.
#pragma once

#include "container_messages.hpp"
#include "exec_messages.hpp"
#include "pod_messages.hpp"
#include "result.hpp"
