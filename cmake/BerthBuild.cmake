# What every target of the project shares: language level, warnings, sanitizers, linker, ccache,
# and the functions that declare plugins and unit tests.

option(BERTH_TESTS "Build the tests" ON)
option(BERTH_WERROR "Treat warnings as errors" ON)
option(BERTH_PRECOMPILED "Read headers once for many sources: precompiled, or with sources joined" ON)
set(BERTH_SANITIZE "" CACHE STRING "Sanitizers for the whole build, as for -fsanitize=")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_C_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(launcher "${CMAKE_CURRENT_LIST_DIR}/compile-cached" "${CMAKE_SOURCE_DIR}")
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
endif()

find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
endif()

if(BERTH_SANITIZE)
  # Reports name lines, and nothing more is read of the debugging information.
  add_compile_options(-fsanitize=${BERTH_SANITIZE} -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${BERTH_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 17)
    # It cannot put its marks before coroutines ("Cannot represent a difference across sections").
    add_compile_options(-fno-sanitize=function)
  endif()
  if(BERTH_SANITIZE MATCHES "thread")
    # ThreadSanitizer knows no fences. Asio puts them beside the locks that order its handlers.
    add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK)
    # The system's libraries are built without it, and headers of some lay out their classes
    # differently with it (google/protobuf/map_field.h); libstdc++ only has marks for it.
    add_compile_options(-U__SANITIZE_THREAD__)
    add_compile_definitions(_GLIBCXX_TSAN=1)
  endif()
endif()

if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  add_compile_definitions(_FORTIFY_SOURCE=2)
endif()
# -pthread for all, or precompiled headers would not fit everywhere.
add_compile_options(-fstack-protector-strong -pthread)
add_compile_definitions(_GNU_SOURCE _FILE_OFFSET_BITS=64)
add_link_options(-Wl,-z,relro,-z,now -Wl,--as-needed)

# Warnings for our own code; generated and third-party headers are SYSTEM.
add_library(berth_warnings INTERFACE)
target_compile_options(berth_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wformat=2
  -Wimplicit-fallthrough -Wundef
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor -Woverloaded-virtual -Wextra-semi>
  # Designated initialisers leave the other members at their defaults on purpose.
  -Wno-missing-field-initializers
  $<$<BOOL:${BERTH_WERROR}>:-Werror>)

# GCC 12 warns about std::string's own code once it is optimised (GCC bugs 105329, 105651), and about
# Boost.Asio's coroutines, where it sees one of operators new and delete inlined and not the other.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  foreach(warning IN ITEMS restrict array-bounds stringop-overread stringop-overflow
          mismatched-new-delete)
    target_compile_options(berth_warnings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-${warning}>)
  endforeach()
endif()

# Imported targets belong to the folder that finds them, so what several folders use is found here.
find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json)

# The SDK's own berth_plugin(), with this project's warnings.
set(BERTH_PLUGIN_LIBRARIES berth_warnings)
include("${CMAKE_CURRENT_LIST_DIR}/../sdk/cmake/BerthPlugin.cmake")

# Suites are mostly templates of GoogleTest, and run once: compiling them well does not pay.
set(BERTH_SUITE_OPTIONS $<$<NOT:$<CONFIG:Debug>>:-O1>)

# Programs with a sanitizer start slowly, and some suites start one in many of their tests.
set(BERTH_UNIT_TEST_SECONDS 120)
if(BERTH_SANITIZE)
  set(BERTH_UNIT_TEST_SECONDS 600)
endif()

# berth_unit_test(NAME SOURCES … LIBRARIES …): a GoogleTest program that needs nothing but a build.
function(berth_unit_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  find_package(GTest REQUIRED)
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests/unit")
  target_link_libraries(${name} PRIVATE berth_warnings ${ARG_LIBRARIES} GTest::gmock GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT ${BERTH_UNIT_TEST_SECONDS})
endfunction()

# berth_test_paths(TARGET NAME PATH …): defines test_paths::NAME of tests/test_paths.hpp.
function(berth_test_paths target)
  set(rest ${ARGN})
  set(text "#include \"test_paths.hpp\"\n\n")
  while(rest)
    list(POP_FRONT rest name path)
    string(APPEND text "const char* const test_paths::${name} = \"${path}\";\n")
  endwhile()
  set(source "${CMAKE_CURRENT_BINARY_DIR}/${target}-paths.cpp")
  file(GENERATE OUTPUT "${source}" CONTENT "${text}")
  set_source_files_properties("${source}" PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
  target_sources(${target} PRIVATE "${source}")
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
endfunction()

# berth_small_program(NAME [ALONE] SOURCES … INCLUDES …): a program of which there is one for each pod,
# in libexec/berth. Static, without exceptions and RTTI, nothing beyond libc and libstdc++; with the
# sources of sdk/streams. ALONE: it also runs where there are no libraries.
function(berth_small_program name)
  cmake_parse_arguments(ARG "ALONE" "" "SOURCES;INCLUDES" ${ARGN})
  set(streams "${PROJECT_SOURCE_DIR}/sdk/streams")
  file(GLOB sources CONFIGURE_DEPENDS "${streams}/src/*.cpp")
  add_executable(${name} ${ARG_SOURCES} ${sources})
  target_compile_definitions(${name} PRIVATE BERTH_VERSION="${PROJECT_VERSION}")
  target_compile_options(${name} PRIVATE -Os -fno-exceptions -fno-rtti -ffunction-sections
    -fdata-sections -fno-asynchronous-unwind-tables)
  target_include_directories(${name} PRIVATE "${streams}/include" ${ARG_INCLUDES}
    $<TARGET_PROPERTY:berth_support,INTERFACE_INCLUDE_DIRECTORIES>)
  target_link_libraries(${name} PRIVATE berth_warnings)
  set_target_properties(${name} PROPERTIES
    POSITION_INDEPENDENT_CODE OFF
    RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/libexec/berth")
  set(static ON)
  if(BERTH_SANITIZE AND (ARG_ALONE OR BERTH_SANITIZE MATCHES "thread"))
    # One thread has nothing to race with, and that sanitizer's second one would keep the program
    # from making user namespaces; the others' runtimes are shared. Unit tests have the same sources
    # with them.
    target_compile_options(${name} PRIVATE -fno-sanitize=all)
    target_link_options(${name} PRIVATE -fno-sanitize=all)
  elseif(BERTH_SANITIZE)
    set(static OFF)  # they need the real operator new as well
  endif()
  if(static)
    target_sources(${name} PRIVATE "${streams}/small/runtime_support.cpp")
    target_link_options(${name} PRIVATE -static -no-pie -Wl,--gc-sections)
  endif()
  install(TARGETS ${name} RUNTIME DESTINATION "${CMAKE_INSTALL_LIBEXECDIR}/berth")
endfunction()
