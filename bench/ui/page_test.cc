#include "bench/ui/page.h"

#include "bench/ui/system_map.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lab::bench::ui {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

int Count(const std::string& text, const std::string& what) {
  int count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

TEST(PageTest, IsOneFileThatNeedsNothingFromElsewhere) {
  const std::string page = MakePage({});
  EXPECT_THAT(page, StartsWith("<!doctype html>"));
  EXPECT_EQ(Count(page, "<script"), 2);
  EXPECT_EQ(Count(page, "</script"), 2);
  for (const char* outside : {" src=", "href=\"http", "@import", "url(http", "//# sourceMappingURL"}) {
    EXPECT_EQ(Count(page, outside), 0) << outside;
  }
  EXPECT_LT(page.size(), 200'000u);
}

TEST(PageTest, NamesTheLicencesOfWhatItContains) {
  const std::string page = MakePage({});
  const std::string head = page.substr(0, page.find("<html"));
  for (const char* part : {"preact", "Jason Miller", "uplot", "Leon Sorokin", "THE SOFTWARE IS PROVIDED"}) {
    EXPECT_THAT(head, HasSubstr(part));
  }
}

TEST(PageTest, CarriesTitleBodyAndData) {
  const std::string page = MakePage({"a <b> & c", "<p>body $& \\1</p>", "{\"x\":1}"});
  EXPECT_EQ(Count(page, "<title>a &lt;b> &amp; c</title>"), 1);
  EXPECT_EQ(Count(page, "<!--body--><p>body $& \\1</p><!--/body-->"), 1);
  EXPECT_EQ(Count(page, "id=\"data\">{\"x\":1}</script>"), 1);
  EXPECT_THAT(page, Not(HasSubstr("<noscript>")));
}

TEST(PageTest, DataCannotEndItsElement) {
  const std::string page = MakePage({"t", "", "{\"x\":\"</script><script>alert(1)</script><!--\"}"});
  EXPECT_EQ(Count(page, "<script"), 2);
  EXPECT_EQ(Count(page, "\\u003c/script>\\u003cscript>alert(1)\\u003c/script>\\u003c!--"), 1);
}

TEST(PageTest, AllowsOnlyItsOwnScriptAndStyle) {
  const std::string policy = ContentSecurityPolicy();
  EXPECT_THAT(policy, StartsWith("default-src 'none'; script-src 'sha256-"));
  EXPECT_THAT(policy, HasSubstr("; style-src 'sha256-"));
  EXPECT_THAT(policy, HasSubstr("; frame-ancestors 'none'"));
  EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
}

PartInfo Part(const char* name, const char* kind) { return {name, kind, "", {}, {}, {}}; }

TEST(SystemMapTest, AServiceTalksToWhatWasStartedBeforeIt) {
  EXPECT_THAT(LinksOf({Part("redis", "redis"), Part("ratelimit", "ratelimit")}, {"ratelimit.grpc", "ratelimit.http"}),
              UnorderedElementsAre(Pair("load", "ratelimit"), Pair("ratelimit", "redis")));
}

TEST(SystemMapTest, ReplicasDoNotTalkToEachOther) {
  EXPECT_THAT(
      LinksOf({Part("redis", "redis"), Part("edge-0", "ratelimit"), Part("edge-1", "ratelimit")}, {"ratelimit.grpc"}),
      UnorderedElementsAre(Pair("load", "edge-0"), Pair("load", "edge-1"), Pair("edge-0", "redis"),
                           Pair("edge-1", "redis")));
}

TEST(SystemMapTest, StoresAskNobody) {
  EXPECT_THAT(
      LinksOf({Part("redis", "redis"), Part("postgres", "postgres"), Part("cacheapi", "cacheapi")}, {"cacheapi.get"}),
      UnorderedElementsAre(Pair("load", "cacheapi"), Pair("cacheapi", "redis"), Pair("cacheapi", "postgres")));
}

TEST(SystemMapTest, KnowsDepthsByTheirNames) {
  EXPECT_TRUE(IsDepth("redis_outstanding"));
  EXPECT_TRUE(IsDepth("rpc_server_in_flight"));
  EXPECT_FALSE(IsDepth("redis_operations_total"));
  EXPECT_FALSE(IsDepth("process_threads"));
}

}  // namespace
}  // namespace lab::bench::ui
