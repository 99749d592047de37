// The points of all adapters, which are linked here: their list is generated, and the README's table is checked.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "services/runtime/base/file.h"
#include "services/runtime/failpoint/point.h"
#include "services/runtime/pg/client.h"
#include "services/runtime/redis/client.h"
#include "services/runtime/rpc/client.h"
#include "services/runtime/rpc/queue.h"

namespace lab::failpoint {
namespace {

bool OfATest(std::string_view adapter) { return adapter.find("_test") != std::string_view::npos; }

// An adapter that is used is linked, and its points with it.
TEST(PointsTest, AreThoseOfTheAdaptersInUse) {
  async::Loop loop;
  obs::Metrics metrics;
  obs::Tracer tracer;
  pg::Client pg(loop, {}, metrics);
  redis::Client redis(loop, {}, metrics);
  rpc::Queue queue(loop);
  const rpc::Client rpc(queue, "127.0.0.1:1", tracer);
  EXPECT_TRUE(FindPoint("pg.commit.before").ok());
  EXPECT_TRUE(FindPoint("redis.script.after").ok());
  EXPECT_TRUE(FindPoint("rpc.call.before").ok());
  pg.Close();
  redis.Close();
}

TEST(PointsTest, TheTableInTheReadmeIsTheGeneratedOne) {
  std::string wanted;
  std::string line;
  for (const char c : PointsMarkdown()) {
    line += c;
    if (c != '\n') continue;
    if (line.find("_test.") == std::string::npos) wanted += line;
    line.clear();
  }
  const absl::StatusOr<std::string> readme = ReadFile(LAB_FAILPOINT_README);
  ASSERT_TRUE(readme.ok()) << readme.status();
  const std::string head = "| Point | Actions | When |\n|---|---|---|\n";
  const size_t begin = readme->find(head);
  ASSERT_NE(begin, std::string::npos) << "the table of points is missing in " << LAB_FAILPOINT_README;
  const size_t end = readme->find("\n\n", begin);
  EXPECT_EQ(readme->substr(begin + head.size(), end + 1 - begin - head.size()), wanted)
      << "write the wanted rows into " << LAB_FAILPOINT_README;
}

TEST(PointsTest, EveryEffectHasOneBeforeAndOneAfter) {
  for (const Point* point : AllPoints()) {
    if (OfATest(point->adapter())) continue;
    const std::string name(point->name());
    const size_t dot = name.rfind('.');
    ASSERT_NE(dot, std::string::npos) << name;
    EXPECT_EQ(name.substr(0, name.find('.')), point->adapter());
    EXPECT_EQ(name.substr(dot), point->side() == Side::kBefore ? ".before" : ".after");
    const std::string other = name.substr(0, dot) + (point->side() == Side::kBefore ? ".after" : ".before");
    EXPECT_TRUE(FindPoint(other).ok()) << name << " has no counterpart";
  }
}

TEST(PointsTest, AreJson) {
  const nlohmann::json points = nlohmann::json::parse(PointsJson());
  ASSERT_EQ(points.size(), AllPoints().size());
  for (const nlohmann::json& point : points) {
    EXPECT_EQ(point["actions"].size(), 3u);
    EXPECT_EQ(point["actions"][0], "crash");
    EXPECT_NE(point["doc"], "");
    EXPECT_TRUE(point["evidence"].contains("timeout"));
  }
}

}  // namespace
}  // namespace lab::failpoint
