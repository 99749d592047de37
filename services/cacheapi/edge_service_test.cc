// What both edges say of an answer, on real stores: how long it may be kept, whether a write is applied, a new brand.
#include <chrono>
#include <string>

#include "google/protobuf/duration.pb.h"
#include "services/cacheapi/testing/service_fixture.h"

namespace lab::cacheapi {
namespace {

using rpc::testing::WaitUntil;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::StartsWith;

class EdgeServiceTest : public ServiceTest {
 protected:
  static Nanos Length(const google::protobuf::Duration& duration) {
    return seconds(duration.seconds()) + Nanos(duration.nanos());
  }
  // Of an answer over HTTP; "" without the field.
  static std::string Field(const std::string& answer, const std::string& name) {
    const size_t at = answer.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "";
    const size_t begin = at + name.size() + 4;
    return answer.substr(begin, answer.find("\r\n", begin) - begin);
  }
  std::string Insights(const std::string& headers = "") {
    return Http(service_->http_port(), "GET", "/v1/brands/acme/insights", "", headers);
  }
  grpc::Status Create(const std::string& id, const std::string& name, v1::CreateBrandResponse* response) {
    v1::CreateBrandRequest request;
    request.set_id(id);
    request.set_name(name);
    return service_->client().Call(kCreate, request, response);
  }
};

// A second of L1, a minute of L2 and a minute stale: max-age is what there is in all, whatever is left of it.
TEST_F(EdgeServiceTest, BothEdgesSayForHowLongItIsFreshAndStale) {
  Options options = On(*stores_);
  options.reader.local = false;
  options.reader.stale_while_revalidate = true;
  options.shared.ttl = options.shared.stale = seconds(60);
  Start(options);
  ASSERT_TRUE(WaitUntil([&] { return Field(Insights(), "X-Cache-Tier") == "l2"; }));
  v1::GetInsightsResponse grpc;
  ASSERT_TRUE(Get("acme", "", &grpc).ok());
  const std::string http = Insights();
  EXPECT_EQ(Length(grpc.age()) + Length(grpc.fresh_for()), seconds(60));
  EXPECT_EQ(Length(grpc.stale_for()), seconds(60));
  EXPECT_THAT(Field(http, "Cache-Control"), testing::MatchesRegex("max-age=(59|60), stale-while-revalidate=60"));
  EXPECT_EQ(Field(http, "ETag"), grpc.entity_tag());
}

// The version stays while the window moves on: the tag must not.
TEST_F(EdgeServiceTest, ATagIsOfTheAnswerNotOfItsVersion) {
  Options options = On(*stores_);
  options.reader.local = options.reader.shared = options.reader.lease = false;
  Start(options);
  const std::string first = Insights();
  const std::string asking = "If-None-Match: \"other\"\r\nIf-None-Match: " + Field(first, "ETag") + "\r\n";
  const std::string known = Insights(asking);
  EXPECT_THAT(known, StartsWith("HTTP/1.1 304 "));
  for (const char* name : {"ETag", "Age", "Cache-Control", "X-Version"}) EXPECT_NE(Field(known, name), "") << name;
  stores_->postgres.Query(
      "INSERT INTO post (brand_id, published_at, language, sentiment, likes, author) VALUES ('acme', now(), 'en', 1, "
      "1, "
      "9)");
  const std::string moved = Insights(asking);
  stores_->postgres.Query("DELETE FROM post WHERE author = 9");
  EXPECT_THAT(moved, StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(Field(moved, "X-Version"), Field(first, "X-Version"));
  EXPECT_NE(Field(moved, "ETag"), Field(first, "ETag"));
}

TEST_F(EdgeServiceTest, ThereIsNoneMayBeKeptForItsOwnTime) {
  Options options = On(*stores_);
  options.reader.stale_while_revalidate = true;
  options.shared.stale = seconds(60);
  options.shared.negative_ttl = seconds(7);
  options.reader.local = false;
  Start(options);
  const auto ask = [&] { return Http(service_->http_port(), "GET", "/v1/brands/nobody/insights"); };
  ASSERT_TRUE(WaitUntil([&] { return Field(ask(), "X-Cache-Tier") == "l2"; }));
  EXPECT_THAT(Field(ask(), "Cache-Control"), testing::MatchesRegex("max-age=[67]"));
}

// Write-behind: neither edge says that it has been written, nor with which version.
TEST_F(EdgeServiceTest, WhatIsQueuedIsNotCalledWritten) {
  redis::TestServer durable({"--appendonly", "yes", "--appendfsync", "always"});
  Options options = On(*stores_);
  options.redis.port = durable.port();
  options.writer.pattern = WritePattern::kWriteBehind;
  Start(options);
  v1::PutCorrectionResponse written;
  ASSERT_TRUE(WaitUntil([&] { return Put("acme", 5, &written).ok(); })) << "this Redis keeps what it acknowledges";
  EXPECT_TRUE(written.queued());
  EXPECT_EQ(written.version(), 0u);
  const std::string http = Http(service_->http_port(), "DELETE", "/v1/brands/acme/correction");
  EXPECT_THAT(http, StartsWith("HTTP/1.1 202 "));
  EXPECT_EQ(Field(http, "X-Version"), "");
  v1::GetInsightsResponse read;
  ASSERT_TRUE(WaitUntil([&] { return Get("acme", "", &read).ok() && read.version() == 3; }));
  service_.reset();
}

TEST_F(EdgeServiceTest, WhatIsAppliedIsNotCalledQueued) {
  Start(On(*stores_));
  v1::PutCorrectionResponse written;
  ASSERT_TRUE(Put("acme", 5, &written).ok());
  EXPECT_FALSE(written.queued());
  EXPECT_EQ(written.version(), 2u);
}

TEST_F(EdgeServiceTest, ABrandIsMadeOverEitherEdge) {
  Start(On(*stores_));
  v1::CreateBrandResponse made;
  ASSERT_TRUE(Create("grpc", "", &made).ok());
  EXPECT_TRUE(made.created());
  EXPECT_EQ(made.version(), 1u);
  const int port = service_->http_port();
  EXPECT_THAT(Http(port, "POST", "/v1/brands", R"({"id": "grpc"})"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Http(port, "POST", "/v1/brands", R"({"id": "grpc", "name": "Other"})"), StartsWith("HTTP/1.1 409 "));
  EXPECT_EQ(Create("grpc", "Other", &made).error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_THAT(Http(port, "POST", "/v1/brands", R"({"id": "http"})"), StartsWith("HTTP/1.1 201 "));
  ASSERT_TRUE(Create("http", "http", &made).ok());
  EXPECT_FALSE(made.created());
  EXPECT_EQ(Create("a b", "", &made).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Create("long", std::string(kMostNameBytes + 1, 'n'), &made).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  stores_->postgres.Query("DELETE FROM brand WHERE id IN ('grpc', 'http')");
}

}  // namespace
}  // namespace lab::cacheapi
