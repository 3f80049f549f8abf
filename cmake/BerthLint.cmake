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
if(BERTH_TIDY)
  add_subdirectory("${CMAKE_SOURCE_DIR}/tests/tidy" tests/tidy)
endif()
