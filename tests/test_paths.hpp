// Paths of the build and of the sources, for tests: each program defines those that it uses, with
// berth_test_paths() of cmake/BerthBuild.cmake. They are no macros, since with such a path in the
// compiler's command nothing would be found in ccache that was compiled in another folder.
#pragma once

namespace test_paths {

extern const char* const fixtures;    // tests/fixtures
extern const char* const fuzzCorpus;  // tests/fuzz/corpus
extern const char* const manual;      // the README.md of the plugin
extern const char* const sdkHeaders;  // sdk/include/berth

extern const char* const plugin;      // the one that is tested
extern const char* const plugins;     // a folder of plugins
extern const char* const liar;        // test-plugin-liar
extern const char* const monitor;     // berth-monitor
extern const char* const openPgp;     // berth-openpgp
extern const char* const pluginHost;  // berth-plugin-host

}  // namespace test_paths
