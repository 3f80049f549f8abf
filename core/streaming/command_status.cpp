#include "streaming/command_status.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "berth/support/status.hpp"

namespace berth::streaming {

namespace json = boost::json;
using support::strCat;
using ErrorStream = CommandProtocol::ErrorStream;

std::string exitMessage(ErrorStream format, int code) {
  const std::string message = strCat("command terminated with exit code ", code);
  if (format == ErrorStream::kText) return code == 0 ? std::string() : message;
  json::object status{{"metadata", json::object()}};
  if (code == 0) {
    status["status"] = "Success";
  } else {
    const json::object cause{{"reason", "ExitCode"}, {"message", std::to_string(code)}};
    status["status"] = "Failure";
    status["message"] = message;
    status["reason"] = "NonZeroExitCode";
    status["details"] = json::object{{"causes", json::array{cause}}};
  }
  return json::serialize(status);
}

std::string failureMessage(ErrorStream format, const absl::Status& failure) {
  const std::string_view message = support::fromAbsl(failure.message());
  if (format == ErrorStream::kText) return std::string(message);
  return json::serialize(json::object{{"metadata", json::object()},
                                      {"status", "Failure"},
                                      {"message", strCat("Internal error occurred: ", message)},
                                      {"reason", "InternalError"},
                                      {"code", 500}});
}

}  // namespace berth::streaming
