# Targets `format`, `format-check` and `tidy` over the project's own sources.
find_program(CLANG_FORMAT clang-format)
find_program(RUN_CLANG_TIDY run-clang-tidy)

file(GLOB_RECURSE berth_sources CONFIGURE_DEPENDS
  "${CMAKE_SOURCE_DIR}/core/*.[ch]pp" "${CMAKE_SOURCE_DIR}/plugins/*.[ch]pp"
  "${CMAKE_SOURCE_DIR}/sdk/*.[ch]pp" "${CMAKE_SOURCE_DIR}/sdk/include/*.h"
  "${CMAKE_SOURCE_DIR}/sdk/examples/*.[ch]" "${CMAKE_SOURCE_DIR}/sdk/templates/*.[ch]"
  "${CMAKE_SOURCE_DIR}/tests/*.[ch]pp")

if(CLANG_FORMAT)
  add_custom_target(format COMMAND ${CLANG_FORMAT} -i ${berth_sources}
    COMMENT "Laying out the sources" VERBATIM)
  add_custom_target(format-check COMMAND ${CLANG_FORMAT} --dry-run --Werror ${berth_sources}
    COMMENT "Comparing the sources with what clang-format makes of them" VERBATIM)
endif()
if(RUN_CLANG_TIDY)
  # Needs the compilation database that the presets ask for.
  add_custom_target(tidy
    COMMAND ${RUN_CLANG_TIDY} -quiet -p "${CMAKE_BINARY_DIR}"
            "${CMAKE_SOURCE_DIR}/(core|plugins|sdk)/.*\\.cpp$"
    VERBATIM)
endif()
