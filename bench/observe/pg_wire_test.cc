#include "bench/observe/pg_wire.h"

#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/runtime/pg/test_server.h"

namespace lab::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr Nanos kTime = std::chrono::seconds(5);

class PgWireTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (pg::TestServer::WhyNone().empty() && server_ == nullptr) server_ = new pg::TestServer();
  }
  void SetUp() override {
    if (server_ == nullptr) GTEST_SKIP() << pg::TestServer::WhyNone();
  }
  void TearDown() override {
    if (server_ != nullptr) server_->Continue();
  }
  static PgLogin Login() { return {.database = "lab"}; }
  PgConnection Connection() { return {"127.0.0.1", server_->port(), Login()}; }

  static inline pg::TestServer* server_ = nullptr;
};

TEST_F(PgWireTest, GivesRowsOfTheLastStatementThatHasSome) {
  PgConnection connection = Connection();
  const absl::StatusOr<PgReply> reply = connection.Query("SELECT 1; SELECT 'a', NULL UNION ALL SELECT '', 'b'", kTime);
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_THAT(reply->rows, ElementsAre(ElementsAre("a", ""), ElementsAre("", "b")));
  EXPECT_EQ(reply->statements, 2);
  EXPECT_EQ(reply->tag, "SELECT 2");
  EXPECT_GT(connection.server_pid(), 0);
  const std::string large(200'000, 'x');
  EXPECT_EQ(connection.Query("SELECT '" + large + "'", kTime)->rows.at(0).at(0), large);
}

TEST_F(PgWireTest, TellsErrorsWithTheirPlace) {
  PgConnection connection = Connection();
  const absl::Status wrong = connection.Query("SELECT 1;\nSELECT nothing", kTime).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(wrong));
  EXPECT_THAT(std::string(wrong.message()), HasSubstr("column \"nothing\" does not exist (42703)"));
  EXPECT_EQ(PlaceOf(wrong).sqlstate, "42703");
  EXPECT_EQ(PlaceOf(wrong).position, 18u);
  EXPECT_EQ(PlaceOf(wrong).statements, 1);
  EXPECT_EQ(PlaceOf(absl::UnavailableError("x")).sqlstate, "");
  EXPECT_TRUE(connection.Query("SELECT 1", kTime).ok());
}

TEST_F(PgWireTest, TellsWhyItCannotConnect) {
  EXPECT_TRUE(absl::IsUnavailable(PgConnection("127.0.0.1", 1).Query("SELECT 1", kTime).status()));
  PgConnection nowhere("127.0.0.1", server_->port(), {.database = "nowhere"});
  EXPECT_EQ(PlaceOf(nowhere.Query("SELECT 1", kTime).status()).sqlstate, "3D000");
  server_->Query("ALTER DATABASE lab CONNECTION LIMIT 0");
  EXPECT_TRUE(absl::IsResourceExhausted(Connection().Query("SELECT 1", kTime).status()));
  server_->Admin("ALTER DATABASE lab CONNECTION LIMIT -1");
}

TEST_F(PgWireTest, SilenceEndsInTime) {
  PgConnection connection = Connection();
  EXPECT_TRUE(absl::IsDeadlineExceeded(connection.Query("SELECT pg_sleep(100)", Millis(50)).status()));
  server_->Pause();
  EXPECT_TRUE(absl::IsDeadlineExceeded(connection.Query("SELECT 1", Millis(50)).status()));
  server_->Continue();
  EXPECT_EQ(connection.Query("SELECT 1", kTime)->rows.at(0).at(0), "1");
}

TEST_F(PgWireTest, ARestartCostsOneMoreConnectionButNeverATransaction) {
  PgConnection idle = Connection(), open = Connection();
  ASSERT_TRUE(idle.Query("SELECT 1", kTime).ok());
  ASSERT_TRUE(open.Query("BEGIN", kTime).ok());
  server_->Kill();
  server_->Start();
  EXPECT_TRUE(idle.Query("SELECT 1", kTime).ok());
  EXPECT_FALSE(open.Query("COMMIT", kTime).ok()) << "committed what was never begun here";
}

}  // namespace
}  // namespace lab::bench
