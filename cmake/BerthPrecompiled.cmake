# Precompiled headers: reading the same library headers again is most of a compilation's time.
#
# Each set is built once, by an object of its own, and given to the targets named here. Sources do
# not know of it: each still includes what it uses, which a build with BERTH_PRECOMPILED=OFF checks.
if(NOT BERTH_PRECOMPILED)
  return()
endif()

# With the time in them each would be another one to ccache, and so would all that is made with it.
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
endif()

set(standard_headers
  <algorithm> <array> <atomic> <charconv> <chrono> <condition_variable> <deque> <filesystem>
  <functional> <map> <memory> <mutex> <optional> <set> <span> <string> <string_view> <thread>
  <unordered_map> <utility> <variant> <vector>)
set(library_headers ${standard_headers}
  <absl/status/status.h> <absl/status/statusor.h> <absl/strings/str_cat.h>
  <absl/strings/str_join.h> <absl/strings/str_split.h> <boost/json.hpp>)
set(record_headers ${library_headers} <cri-runtime-v1.pb.h> <records.pb.h>)
set(test_headers <gmock/gmock.h> <gtest/gtest.h>)

file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/precompiled/empty.cpp" CONTENT "")

# berth_precompile(NAME HEADERS … LIBRARIES … USED_BY …)
function(berth_precompile name)
  cmake_parse_arguments(ARG "" "" "HEADERS;LIBRARIES;OPTIONS;USED_BY" ${ARGN})
  add_library(${name} OBJECT "${CMAKE_BINARY_DIR}/precompiled/empty.cpp")
  target_link_libraries(${name} PRIVATE berth_warnings absl::statusor Boost::json ${ARG_LIBRARIES})
  target_compile_options(${name} PRIVATE ${ARG_OPTIONS})
  target_precompile_headers(${name} PRIVATE ${ARG_HEADERS})
  foreach(target IN LISTS ARG_USED_BY)
    if(TARGET ${target})
      target_precompile_headers(${target} REUSE_FROM ${name})
    endif()
  endforeach()
endfunction()

berth_precompile(berth_library_headers
  HEADERS ${library_headers}
  USED_BY berth_support berth_untar berth_common berth_references berth_signatures berth_cdi
          berth_hooks berth_config berth_plugins berth_plugin_check
          berth_streaming berth_streaming_spdy
          berth_registry_v2 berth_network_cni berth_runtime_runc berth_monitor_client
          snapshotter-overlay registry-v2 network-cni runtime-runc)
berth_precompile(berth_record_headers
  HEADERS ${record_headers}
  LIBRARIES berth_records
  USED_BY berth_images berth_store berth_spec berth_volumes berth_metrics berth_engine berth_cri)

if(NOT BERTH_TESTS)
  return()
endif()
find_package(GTest REQUIRED)
# Programs are compiled for another kind of position independence than libraries.
set(test_options ${BERTH_SUITE_OPTIONS} -fPIE)
berth_precompile(berth_test_headers
  HEADERS ${library_headers} ${test_headers}
  LIBRARIES GTest::gmock
  OPTIONS ${test_options}
  USED_BY common-test cdi_test hooks_test config-test plugin-host-test spdy-test sdk-test
          support-test streaming-test registry-v2-test network-cni-test runtime_runc_plugin_test
          snapshotter-overlay-test
          network-cni-integration-test registry-v2-integration-test
          runtime_runc_integration_test snapshotter-overlay-integration)
berth_precompile(berth_record_test_headers
  HEADERS ${record_headers} ${test_headers}
  LIBRARIES berth_records GTest::gmock
  OPTIONS ${test_options}
  USED_BY images-test store-test spec_test volumes-test metrics-test engine-test cri-test)
