// Templates of network configurations, in the part of Go's text/template that the templates of
// containerd and cluster set-up tools use.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

namespace berth::cni {

// What a template can refer to.
struct PodCidrValues {
  std::vector<std::string> ranges;  // .PodCIDRRanges; .PodCIDR is the first one
  std::vector<std::string> routes;  // .Routes: a default route for each address family
};

// "10.0.0.0/24,fd00::/64" into values. INVALID_ARGUMENT naming the part that is no range.
absl::StatusOr<PodCidrValues> parsePodCidr(std::string_view cidrs);

// Fills in {{.PodCIDR}}, {{range .PodCIDRRanges}}…{{.}}…{{end}}, the same with .Routes,
// {{range $i, $value := .Routes}} with {{$i}} and {{$value}}, {{if X}}…{{else}}…{{end}} with any of
// these, comments, and the trim markers {{- and -}}. INVALID_ARGUMENT naming the line and what is
// not understood.
absl::StatusOr<std::string> renderTemplate(std::string_view text, const PodCidrValues& values);

}  // namespace berth::cni
