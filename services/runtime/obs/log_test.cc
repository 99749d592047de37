#include "services/runtime/obs/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lab::obs {
namespace {

using nlohmann::json;

// What `write` puts on standard error.
template <typename Write>
std::string Captured(Write write_lines) {
  testing::internal::CaptureStderr();
  write_lines();
  return testing::internal::GetCapturedStderr();
}

TEST(LogTest, WritesOneJsonLineWithTypes) {
  SetLogService("ratelimit");
  const std::string line = LogLine(Level::kWarn, "batch_flush_failed",
                                   {{"text", "a \"b\"\nc"},
                                    {"count", 3},
                                    {"big", uint64_t{18446744073709551615u}},
                                    {"port", uint16_t{8080}},
                                    {"negative", int64_t{-5}},
                                    {"share", 0.25},
                                    {"none", std::nan("")},
                                    {"on", true},
                                    {"bytes", std::string("\xff")}});
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const json read = json::parse(line);
  EXPECT_EQ(read["level"], "warn");
  EXPECT_EQ(read["service"], "ratelimit");
  EXPECT_EQ(read["event"], "batch_flush_failed");
  EXPECT_EQ(read["text"], "a \"b\"\nc");
  EXPECT_EQ(read["count"], 3);
  EXPECT_EQ(read["big"], 18446744073709551615u);
  EXPECT_EQ(read["port"], 8080);
  EXPECT_EQ(read["negative"], -5);
  EXPECT_EQ(read["share"], 0.25);
  EXPECT_TRUE(read["none"].is_null());
  EXPECT_EQ(read["on"], true);
  EXPECT_THAT(read["time"].get<std::string>(), testing::MatchesRegex("....-..-..T..:..:..[.]......Z"));
}

TEST(LogTest, CutsLongValues) {
  const std::string line = LogLine(Level::kInfo, "x", {{"text", std::string(100'000, 'x')}});
  EXPECT_EQ(json::parse(line)["text"].get<std::string>().size(), 4096u);
}

TEST(LogTest, KeepsTheLevel) {
  SetLogLevel(Level::kWarn);
  EXPECT_EQ(Captured([] { Log(Level::kInfo, "quiet"); }), "");
  EXPECT_EQ(json::parse(Captured([] { Log(Level::kError, "loud"); }))["event"], "loud");
  SetLogLevel(Level::kInfo);
  EXPECT_NE(Captured([] { Log(Level::kInfo, "again"); }), "");
}

TEST(LogLimitTest, CountsWhatItLeavesOut) {
  LogLimit limit(std::chrono::minutes(1));
  const Clock::time_point start = Clock::now();
  EXPECT_TRUE(limit.Allow(start));
  EXPECT_EQ(limit.suppressed(), 0u);
  EXPECT_FALSE(limit.Allow(start + std::chrono::seconds(1)));
  EXPECT_FALSE(limit.Allow(start + std::chrono::seconds(59)));
  EXPECT_TRUE(limit.Allow(start + std::chrono::seconds(60)));
  EXPECT_EQ(limit.suppressed(), 2u);
}

}  // namespace
}  // namespace lab::obs
