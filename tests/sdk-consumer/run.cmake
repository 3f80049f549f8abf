# Installs the SDK alone into a prefix of its own, builds the outside project with it, and loads
# what that has made.
cmake_minimum_required(VERSION 3.25)

function(run what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output
                  ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${what} failed (${result}):\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

set(prefix "${WORK}/prefix")
set(build "${WORK}/build")
file(REMOVE_RECURSE "${WORK}")

run("installing the SDK" "${CMAKE_COMMAND}" --install "${BERTH_BUILD}" --component sdk
    --prefix "${prefix}")
file(GLOB_RECURSE installed RELATIVE "${prefix}" "${prefix}/*")
foreach(file IN LISTS installed)
  if(NOT file MATCHES
     "^(bin/berth-plugin-(check|new)$|include/berth/|lib|share/(berth/(examples|templates)|pkgconfig)/)")
    message(FATAL_ERROR "the SDK installs ${file}, which is no part of it")
  endif()
endforeach()

set(flags "")
if(SANITIZE)
  set(flags "-fsanitize=${SANITIZE}")
endif()
function(build_project source folder)
  run("configuring ${source}" "${CMAKE_COMMAND}" -S "${source}" -B "${folder}"
      -G "${GENERATOR}" "-DCMAKE_PREFIX_PATH=${prefix}" "-DCMAKE_C_COMPILER=${C_COMPILER}"
      "-DCMAKE_CXX_COMPILER=${CXX_COMPILER}" "-DCMAKE_C_FLAGS=${flags}"
      "-DCMAKE_CXX_FLAGS=${flags}" "-DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF" --no-warn-unused-cli
      ${ARGN})
  run("building ${source}" "${CMAKE_COMMAND}" --build "${folder}")
endfunction()
build_project("${PROJECT}" "${build}")
run("loading the plugins" "${LOAD}" "${WORK}/state" "${build}/lib/berth/plugins/berth-quiet-c.so"
    "${build}/lib/berth/plugins/berth-quiet-cpp.so")
run("running what links the support library" "${build}/support-user")

# A project that says nothing of a standard; and with a later one of its own.
build_project("${LEAST}" "${WORK}/least")
run("loading the plugin of the least project" "${LOAD}" "${WORK}/state"
    "${WORK}/least/lib/berth/plugins/berth-quiet-cpp.so")
build_project("${LEAST}" "${WORK}/later" -DCMAKE_CXX_STANDARD=23 -DCMAKE_EXPORT_COMPILE_COMMANDS=ON)
file(READ "${WORK}/later/compile_commands.json" commands)
if(NOT commands MATCHES "-std=gnu\\+\\+(23|2b)")
  message(FATAL_ERROR "the project's own standard does not count: ${commands}")
endif()

# The pkg-config file serves builds without CMake.
find_program(PKG_CONFIG pkg-config)
if(NOT PKG_CONFIG AND "$ENV{CI}" STREQUAL "true")
  message(FATAL_ERROR "pkg-config is missing: the file for it cannot be tested")
endif()
if(PKG_CONFIG)
  file(GLOB_RECURSE pc "${prefix}/*/berth-plugin.pc")
  run("reading ${pc}" "${PKG_CONFIG}" --cflags "${pc}")
  string(STRIP "${output}" cflags)
  separate_arguments(cflags)
  run("compiling with the pkg-config file" "${C_COMPILER}" -std=c11 ${cflags} -fPIC -shared
      -o "${WORK}/berth-quiet-pc.so" "${PROJECT}/quiet.c")
  run("loading that plugin" "${LOAD}" "${WORK}/state" "${WORK}/berth-quiet-pc.so")
endif()
file(REMOVE_RECURSE "${WORK}")
