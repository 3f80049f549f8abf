#include "engine/message_json.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "cri-runtime-v1.pb.h"

namespace berth::engine {
namespace {

namespace v1 = runtime::v1;

TEST(MessageJsonTest, FieldsHaveTheirNamesAndTypes) {
  v1::ContainerConfig config;
  config.mutable_metadata()->set_name("web");
  config.mutable_metadata()->set_attempt(2);
  config.add_command("sleep");
  config.add_command("1");
  v1::KeyValue* env = config.add_envs();
  env->set_key("A");
  env->set_value("b");
  v1::Mount* mount = config.add_mounts();
  mount->set_host_path("/data");
  mount->set_propagation(v1::PROPAGATION_BIDIRECTIONAL);
  (*config.mutable_labels())["app"] = "shop";
  config.set_tty(true);
  config.mutable_linux()->mutable_resources()->set_cpu_quota(-1);
  config.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(int64_t{1} << 40);

  EXPECT_EQ(toJson(config), boost::json::parse(R"({
    "metadata": {"name": "web", "attempt": 2},
    "command": ["sleep", "1"],
    "envs": [{"key": "A", "value": "b"}],
    "mounts": [{"host_path": "/data", "propagation": 2}],
    "labels": {"app": "shop"},
    "tty": true,
    "linux": {"resources": {"cpu_quota": -1, "memory_limit_in_bytes": 1099511627776}}
  })"));
}

TEST(MessageJsonTest, WhatIsNoTextIsReplaced) {
  v1::KeyValue env;
  env.set_value("a\xff\xc3\xa4");
  EXPECT_EQ(toJson(env), boost::json::parse("{\"value\": \"a\xef\xbf\xbd\xc3\xa4\"}"));
}

TEST(MessageJsonTest, NothingSetIsAnEmptyObject) {
  EXPECT_TRUE(toJson(v1::PodSandboxConfig()).empty());
}

}  // namespace
}  // namespace berth::engine
