#include "bench/micro/external_client.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "services/runtime/base/file.h"
#include "services/runtime/base/temporary_folder.h"

namespace lab::bench {
namespace {

TEST(ExternalClientTest, ReadsTheLineWhateverElseIsInIt) {
  const auto result = ReadClientLine("rps=63500.5 p50=230us p99=690us p999=900us ok=127000 over=0 err=0 \n");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->calls_per_s, 63500.5);
  EXPECT_EQ(result->p50_us, 230);
  EXPECT_EQ(result->p99_us, 690);
  EXPECT_EQ(result->calls, 127000u);
}

TEST(ExternalClientTest, CallsThatDidNotPassAreNoMeasurement) {
  EXPECT_FALSE(ReadClientLine("rps=10 p50=1us p99=2us ok=9 over=1 err=0").ok());
  EXPECT_FALSE(ReadClientLine("rps=10 p50=1us p99=2us ok=9 over=0 err=1").ok());
  EXPECT_FALSE(ReadClientLine("rps=0 p50=0us p99=0us ok=0 over=0 err=0").ok());
}

TEST(ExternalClientTest, AMissingWordIsNamed) {
  const auto result = ReadClientLine("rps=10 p50=1us p99=fast ok=9 over=0 err=0");
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.status().message().find("p99="), std::string::npos) << result.status();
  EXPECT_FALSE(ReadClientLine("").ok());
}

TEST(ExternalClientTest, GetsTheArgumentsInTheirOrder) {
  const TemporaryFolder folder;
  const std::string client = folder.path() + "/client.sh";
  const std::string script =
      "#!/bin/sh\n"
      "[ \"$*\" = '127.0.0.1:4711 bench gcra 100 16 0.5' ] || exit 1\n"
      "echo rps=10 p50=1us p99=2us ok=9 over=0 err=0\n";
  ASSERT_TRUE(WriteFileAtomic(client, script).ok());
  ASSERT_EQ(chmod(client.c_str(), 0755), 0);
  const ClosedLoop what{.address = "127.0.0.1:4711", .key = "gcra", .keys = 100, .outstanding = 16, .seconds = 0.5};
  const auto result = MeasureWithClient(client, what);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->calls, 9u);
  EXPECT_FALSE(MeasureWithClient(client + "-absent", what).ok());
}

}  // namespace
}  // namespace lab::bench
