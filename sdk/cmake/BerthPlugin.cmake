# berth_plugin(NAME SOURCES … LIBRARIES …): a plugin, built as `berth-NAME.so` into
# lib/berth/plugins of the build folder and installed to the same below the prefix, where the berthd of
# that prefix looks for plugins whatever the folder of libraries is called. Only the entry symbol
# leaves it. C++ is C++20 at least, which the wrapper needs. BERTH_PLUGIN_LIBRARIES names what all
# plugins of a project link.

function(berth_plugin name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT ARG_SOURCES OR ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "berth_plugin(${name}): SOURCES is missing, or there are stray arguments: "
                        "${ARG_UNPARSED_ARGUMENTS}")
  endif()
  add_library(${name} MODULE ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES
    PREFIX ""
    OUTPUT_NAME "berth-${name}"
    LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib/berth/plugins"
    C_VISIBILITY_PRESET hidden
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON)
  get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  if(CXX IN_LIST languages)
    target_compile_features(${name} PRIVATE cxx_std_20)
  endif()
  # The visibility above does not reach what is made of the standard library's templates.
  set(script "${CMAKE_CURRENT_BINARY_DIR}/${name}.version-script")
  file(CONFIGURE OUTPUT "${script}" CONTENT "{ global: berth_plugin_entry; local: *; };\n")
  target_link_options(${name} PRIVATE -Wl,--no-undefined -Wl,--exclude-libs,ALL
    "-Wl,--version-script=${script}")
  target_link_libraries(${name} PRIVATE Berth::sdk ${BERTH_PLUGIN_LIBRARIES} ${ARG_LIBRARIES})
  install(TARGETS ${name} LIBRARY DESTINATION "lib/berth/plugins")
endfunction()
