// JSON as people read it.
#pragma once

#include <string>

#include <boost/json/value.hpp>

namespace berth::program {

// Members and elements on lines of their own, indented by two for each level; a line end behind it.
// Has nothing that a terminal obeys.
std::string jsonText(const boost::json::value& value);

}  // namespace berth::program
