# Targets `format`, `format-check` and, with BERTH_TIDY, `tidy` over the project's own sources.
option(BERTH_TIDY "A target by which clang-tidy reads all sources: the preset tidy" OFF)
find_program(CLANG_FORMAT clang-format)

set(berth_sources "")
foreach(folder IN ITEMS core plugins sdk tests)
  file(GLOB_RECURSE found CONFIGURE_DEPENDS
    "${CMAKE_SOURCE_DIR}/${folder}/*.[ch]pp" "${CMAKE_SOURCE_DIR}/${folder}/*.[ch]")
  list(APPEND berth_sources ${found})
endforeach()

if(CLANG_FORMAT)
  add_custom_target(format COMMAND ${CLANG_FORMAT} -i ${berth_sources}
    COMMENT "Laying out the sources" VERBATIM)
  add_custom_target(format-check COMMAND ${CLANG_FORMAT} --dry-run --Werror ${berth_sources}
    COMMENT "Comparing the sources with what clang-format makes of them" VERBATIM)
endif()
if(NOT BERTH_TIDY)
  return()
endif()

# The commands by which sources are read that are built elsewhere, or on demand, or not here.
function(berth_read_only name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEFINITIONS;LIBRARIES" ${ARGN})
  list(TRANSFORM ARG_SOURCES PREPEND "${CMAKE_SOURCE_DIR}/")
  file(GLOB sources CONFIGURE_DEPENDS ${ARG_SOURCES})
  add_library(${name} OBJECT EXCLUDE_FROM_ALL ${sources})
  target_compile_definitions(${name} PRIVATE ${ARG_DEFINITIONS})
  target_link_libraries(${name} PRIVATE berth_warnings Berth::sdk ${ARG_LIBRARIES})
endfunction()
find_package(CURL REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
berth_read_only(tidy_examples
  SOURCES sdk/examples/*/*.c sdk/examples/*/*.cpp sdk/templates/test/load.c
          tests/sdk-consumer/project/*.c tests/sdk-consumer/project/*.cpp
  LIBRARIES Berth::untar Berth::support CURL::libcurl OpenSSL::Crypto)
berth_read_only(tidy_faulty_plugins
  SOURCES tests/fixtures/faulty-plugins/*.c
  DEFINITIONS REAL="real.so" HEADER="berth/network.h" TABLE=berth_network
              "PLUGIN_MEMBERS=M(create)" "TABLE_MEMBERS=M(attach)")
berth_read_only(tidy_programs
  SOURCES tests/testbed/programs/*.c tests/fuzz/fuzzer.cpp sdk/support/src/sanitizer/*.cpp
  DEFINITIONS BERTH_FUZZ_TARGET=kTar)

# What is kept as it was once is not mended any more.
list(FILTER berth_sources INCLUDE REGEX "\\.(c|cpp)$")
list(FILTER berth_sources EXCLUDE REGEX "/tests/fixtures/abi-1\\.0/")
find_program(CLANG_TIDY clang-tidy REQUIRED)
set(reader "${CMAKE_SOURCE_DIR}/cmake/read-with-clang-tidy")
set(stamps "")
foreach(source IN LISTS berth_sources)
  file(RELATIVE_PATH name "${CMAKE_SOURCE_DIR}" "${source}")
  set(stamp "${CMAKE_BINARY_DIR}/read/${name}")
  add_custom_command(OUTPUT "${stamp}"
    COMMAND "${reader}" "${CLANG_TIDY}" "${source}" "${stamp}"
    DEPENDS "${source}" "${reader}" "${CMAKE_SOURCE_DIR}/.clang-tidy"
    DEPFILE "${stamp}.d"
    WORKING_DIRECTORY "${CMAKE_BINARY_DIR}"
    COMMENT "Reading ${name}" VERBATIM)
  list(APPEND stamps "${stamp}")
endforeach()
add_custom_target(tidy DEPENDS ${stamps})
# Their headers are made with them.
add_dependencies(tidy berth_records berth_cri_services berth_admin_services berth_shim_api
  future-headers)
