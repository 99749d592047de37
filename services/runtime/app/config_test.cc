#include "services/runtime/app/config.h"

#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/text.h"

namespace lab::app {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

// A schema of every type, as a service would have it.
struct Example {
  std::string host = "127.0.0.1";
  int port = 6379;
  double ratio = 0.5;
  bool on = false;
  Nanos deadline = Millis(5);
  size_t policy = 1;
  std::string path;
  Schema schema;

  Example() {
    schema.String("redis.host", &host, "Where Redis is");
    schema.Int("redis.port", &port, 1, 65535, "Its port");
    schema.Duration("redis.deadline", &deadline, Nanos(0), std::chrono::seconds(1), "Bound on an operation");
    schema.Number("trace.ratio", &ratio, 0, 1, "Share of traces");
    schema.Bool("debug", &on, "Says more");
    schema.OneOf(
        "rules.on_store_failure", {"allow", "deny", "local"}, policy, [this](size_t i) { policy = i; },
        "What to answer");
    schema.String("rules.path", &path, "The rules");
    schema.Bool("redis.tls.on", &on, "A deeper group");
    schema.Int("redis.connections", &port, 1, 65535, "After the deeper group");
  }
};

std::string Text(const absl::Status& status) { return std::string(status.message()); }

TEST(SchemaTest, ReadsNestedAndDottedFieldsAlike) {
  Example nested, dotted;
  ASSERT_TRUE(nested.schema
                  .Parse("redis: {host: h, port: 1, deadline: 7ms, tls: {on: true}}\ntrace: {ratio: 1}\n"
                         "rules: {on_store_failure: local, path: \"@x\"}\n",
                         "f")
                  .ok());
  ASSERT_TRUE(dotted.schema
                  .Parse("redis.host: h\nredis: {port: \"1\"}\nredis.deadline: 7ms\nredis.tls: {on: true}\n"
                         "trace.ratio: 1\nrules.on_store_failure: local\nrules.path: '@x'\n",
                         "f")
                  .ok());
  for (const Example* read : {&nested, &dotted}) {
    EXPECT_EQ(read->host, "h");
    EXPECT_EQ(read->port, 1);
    EXPECT_EQ(read->deadline, Millis(7));
    EXPECT_TRUE(read->on);
    EXPECT_EQ(read->ratio, 1);
    EXPECT_EQ(read->policy, 2u);
    EXPECT_EQ(read->path, "@x");
  }
}

TEST(SchemaTest, AnEmptyFileKeepsTheDefaults) {
  Example example;
  ASSERT_TRUE(example.schema.Parse("", "f").ok());
  ASSERT_TRUE(example.schema.Parse("redis:\n", "f").ok());
  EXPECT_EQ(example.host, "127.0.0.1");
  EXPECT_EQ(example.deadline, Millis(5));
}

TEST(SchemaTest, ReportsEverythingAtOnceWithLinesAndRemedies) {
  Example example;
  const absl::Status status = example.schema.Parse(R"(redis:
  host: [a]
  port: 0
  dedline: 5ms
  deadline: 5
trace: 1
debug: yes
rules:
  on_store_failure: lokal
redis.port: 5
redis.port: 6
deadline: 5ms
redis.tls.on:
)",
                                                   "f.yaml");
  EXPECT_EQ(Text(status),
            "f.yaml:2: redis.host: must be a single value, not a map or a list\n"
            "f.yaml:3: redis.port: must be a whole number in 1 … 65535, not \"0\"\n"
            "f.yaml:4: redis.dedline: unknown field; did you mean \"redis.deadline\"?\n"
            "f.yaml:5: redis.deadline: must be a number and a unit (us, ms, s, m, h), not \"5\"\n"
            "f.yaml:6: trace: must be a map, not \"1\"\n"
            "f.yaml:7: debug: must be true or false, not \"yes\"\n"
            "f.yaml:9: rules.on_store_failure: must be one of allow, deny, local, not \"lokal\"; did you mean "
            "\"local\"?\n"
            "f.yaml:10: redis.port: is there twice, first in line 3\n"
            "f.yaml:11: \"redis.port\" is there twice, first in line 10\n"
            "f.yaml:12: deadline: unknown field; did you mean \"redis.deadline\"?\n"
            "f.yaml:13: redis.tls.on: has no value");
}

TEST(SchemaTest, RefusesUnreadableFiles) {
  Example example;
  EXPECT_THAT(Text(example.schema.Parse("redis: [", "f.yaml")), HasSubstr("f.yaml:"));
  EXPECT_THAT(Text(example.schema.Parse("- a\n", "f.yaml")), HasSubstr("f.yaml:1: must be a map"));
  EXPECT_THAT(Text(example.schema.Parse("redis: {host: \xff}\n", "f.yaml")), HasSubstr("f.yaml:1: not UTF-8"));
}

TEST(SchemaTest, SetTakesOneField) {
  Example example;
  EXPECT_TRUE(example.schema.Set("redis.deadline", "250us").ok());
  EXPECT_EQ(example.deadline, Micros(250));
  EXPECT_TRUE(example.schema.Set("rules.path", "@rules.yaml: {x").ok());  // text, not YAML
  EXPECT_EQ(example.path, "@rules.yaml: {x");
  EXPECT_EQ(Text(example.schema.Set("redis.dedline", "1ms")),
            "redis.dedline: unknown field; did you mean \"redis.deadline\"?");
  EXPECT_EQ(Text(example.schema.Set("redis.port", "70000")),
            "redis.port: must be a whole number in 1 … 65535, not \"70000\"");
  EXPECT_EQ(Text(example.schema.Set("redis.deadline", "2s")),
            "redis.deadline: must be a duration in 0s … 1s, not \"2s\"");
  EXPECT_FALSE(example.schema.Set("trace.ratio", "nan").ok());
  EXPECT_FALSE(example.schema.Set("trace.ratio", "").ok());
  EXPECT_FALSE(example.schema.Set("redis", "x").ok());
  EXPECT_EQ(example.port, 6379);
}

TEST(SchemaTest, YamlIsReadBack) {
  Example example;
  Example defaults;
  const std::string yaml = example.schema.ToYaml();
  EXPECT_THAT(yaml, HasSubstr("redis:\n  # Where Redis is (string)\n  host: \"127.0.0.1\"\n"));
  EXPECT_THAT(yaml, HasSubstr("  # Its port (int, 1 … 65535)\n"));
  EXPECT_TRUE(defaults.schema.Parse(yaml, "f").ok()) << Text(defaults.schema.Parse(yaml, "f"));

  for (const char* text :
       {"",   "true", "5",   "1.5",      "~",         "null",  "a: b", "- x", "#x", "@x",  "line\nbreak",
        "\"", "'",    " x ", "\xd8\xb3", "/a/b.yaml", "plain", "*x",   "&x",  "%",  "0x1", "="}) {
    Example written, read;
    written.path = text;
    EXPECT_TRUE(written.schema.Set("redis.deadline", "1500us").ok());
    EXPECT_TRUE(written.schema.Set("rules.on_store_failure", "local").ok());
    const std::string current = written.schema.CurrentYaml();
    const absl::Status parsed = read.schema.Parse(current, "f");
    ASSERT_TRUE(parsed.ok()) << Text(parsed) << current;
    EXPECT_EQ(read.path, text) << current;
    EXPECT_EQ(read.deadline, Micros(1500));
    EXPECT_EQ(read.policy, 2u);
  }
}

TEST(SchemaTest, JsonHoldsEveryField) {
  Example example;
  EXPECT_TRUE(example.schema.Set("redis.port", "1").ok());  // the default stays
  const json fields = json::parse(example.schema.ToJson());
  ASSERT_EQ(fields.size(), 9u);
  EXPECT_EQ(fields[1], json({{"path", "redis.port"},
                             {"type", "int"},
                             {"default", "6379"},
                             {"range", "1 … 65535"},
                             {"names", json::array()},
                             {"doc", "Its port"}}));
  EXPECT_EQ(fields[5]["names"], json({"allow", "deny", "local"}));
  EXPECT_EQ(fields[5]["default"], "deny");
}

TEST(SchemaTest, RefusesWrongDeclarations) {
  Example example;
  EXPECT_ANY_THROW(example.schema.Bool("redis.port", &example.on, "twice"));
  EXPECT_ANY_THROW(example.schema.Bool("redis", &example.on, "a group"));
  EXPECT_ANY_THROW(example.schema.Bool("redis.port.number", &example.on, "below a field"));
}

TEST(SecretTest, ComesFromTheEnvironmentOrItsFile) {
  unsetenv("LAB_TEST_SECRET");
  unsetenv("LAB_TEST_SECRET_FILE");
  EXPECT_EQ(*SecretFromEnvironment("LAB_TEST_SECRET"), "");
  const std::string file = Concat(testing::TempDir(), "lab_secret_", getpid());
  ASSERT_TRUE(WriteFileAtomic(file, "from file\n").ok());
  setenv("LAB_TEST_SECRET_FILE", file.c_str(), 1);
  EXPECT_EQ(*SecretFromEnvironment("LAB_TEST_SECRET"), "from file");
  setenv("LAB_TEST_SECRET", "direct", 1);
  EXPECT_EQ(*SecretFromEnvironment("LAB_TEST_SECRET"), "direct");
  unsetenv("LAB_TEST_SECRET");
  unlink(file.c_str());
  EXPECT_FALSE(SecretFromEnvironment("LAB_TEST_SECRET").ok());
  unsetenv("LAB_TEST_SECRET_FILE");
}

}  // namespace
}  // namespace lab::app
