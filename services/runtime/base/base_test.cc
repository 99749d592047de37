#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/json.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/random.h"
#include "services/runtime/base/temporary_folder.h"
#include "services/runtime/base/time.h"

namespace lab {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;

TEST(ParseDurationTest, TakesNumbersWithUnits) {
  EXPECT_EQ(*ParseDuration("250us"), Micros(250));
  EXPECT_EQ(*ParseDuration("5ms"), Millis(5));
  EXPECT_EQ(*ParseDuration("1.5s"), Millis(1500));
  EXPECT_EQ(*ParseDuration("3m"), minutes(3));
  EXPECT_EQ(*ParseDuration("1h"), hours(1));
  EXPECT_EQ(*ParseDuration("7ns"), Nanos(7));
  EXPECT_EQ(*ParseDuration("0"), Nanos(0));
  EXPECT_EQ(*ParseDuration("0s"), Nanos(0));
  EXPECT_EQ(*ParseDuration("9223372036854775807ns"), Nanos::max());
}

TEST(ParseDurationTest, RefusesEverythingElse) {
  for (const char* text : {"", "5", "ms", "5 ms", "5MS", "-5ms", "+5ms", "1.2.3s", ".", ".s", "1e3s", "5mss", "inf",
                           "nan", "5d", "1m30s", "9999999999h", "99999999999999999999s", "0x5s"}) {
    EXPECT_FALSE(ParseDuration(text).ok()) << text;
  }
  EXPECT_THAT(std::string(ParseDuration("5 parsecs").status().message()), HasSubstr("\"5 parsecs\""));
}

TEST(FormatDurationTest, KeepsThreeDigits) {
  EXPECT_EQ(FormatDuration(Nanos(0)), "0 s");
  EXPECT_EQ(FormatDuration(Nanos(850)), "850 ns");
  EXPECT_EQ(FormatDuration(Micros(250)), "250 µs");
  EXPECT_EQ(FormatDuration(Nanos(1'234'567)), "1.23 ms");
  EXPECT_EQ(FormatDuration(Nanos(12'345'678)), "12.3 ms");
  EXPECT_EQ(FormatDuration(Millis(5)), "5 ms");
  EXPECT_EQ(FormatDuration(Millis(1500)), "1.5 s");
  EXPECT_EQ(FormatDuration(Nanos(999'999)), "1 ms");  // rounding carries into the unit
  EXPECT_EQ(FormatDuration(Millis(59'990)), "1 min");
  EXPECT_EQ(FormatDuration(seconds(125)), "2 min 5 s");
  EXPECT_EQ(FormatDuration(minutes(190)), "3 h 10 min");
  EXPECT_EQ(FormatDuration(-Millis(5)), "-5 ms");
  EXPECT_EQ(FormatDuration(Nanos::min()), FormatDuration(-Nanos::max()));
}

TEST(DurationTextTest, IsReadBackExactly) {
  for (const Nanos duration : std::vector<Nanos>{Nanos(0), Nanos(1), Nanos(1001), Micros(250), Millis(1500),
                                                 Nanos(minutes(2)), Nanos(hours(5)), Nanos::max()}) {
    EXPECT_EQ(*ParseDuration(DurationText(duration)), duration) << DurationText(duration);
  }
  EXPECT_EQ(DurationText(Millis(1500)), "1500ms");
  EXPECT_EQ(DurationText(seconds(120)), "2m");
}

TEST(NearestTest, FindsLikelyTypos) {
  const std::vector<std::string> names = {"deadline", "max_outstanding", "host", "port"};
  EXPECT_EQ(Nearest("dedline", names), "deadline");
  EXPECT_EQ(Nearest("deadlnie", names), "deadline");
  EXPECT_EQ(Nearest("prot", names), "port");  // one swap, not two edits
  EXPECT_EQ(Nearest("timeout", names), "");
  EXPECT_EQ(Nearest("", names), "");
  EXPECT_EQ(Nearest(std::string(1 << 20, 'x'), names), "");
  EXPECT_EQ(Suggestion("dedline", names), "; did you mean \"deadline\"?");
  EXPECT_EQ(Suggestion("timeout", names), "; known: deadline, max_outstanding, host, port");
  EXPECT_EQ(Suggestion("x", {}), "");
  EXPECT_THAT(Suggestion("x", std::vector<std::string>(20, "name")), HasSubstr("and 4 more"));
}

TEST(RandomTest, FollowsThePublishedSequence) {
  // splitmix64 seeded with 1234567, as published at Rosetta Code.
  EXPECT_EQ(Mix(1234567), 6457827717110365317u);
  Random random(1), same(1), other(2);
  std::set<uint64_t> seen;
  for (int i = 0; i < 1000; ++i) {
    const uint64_t next = random.Next();
    EXPECT_EQ(next, same.Next());
    EXPECT_NE(next, other.Next());
    seen.insert(next);
  }
  EXPECT_EQ(seen.size(), 1000u);
}

TEST(RandomTest, DistributionsHaveTheirMeansAndRanges) {
  Random random(7);
  double uniform = 0, exponential = 0;
  std::array<int, 6> faces{};
  constexpr int kDraws = 200'000;
  for (int i = 0; i < kDraws; ++i) {
    const double u = random.Uniform(), e = random.Exponential(2.0);
    ASSERT_TRUE(u >= 0 && u < 1);
    ASSERT_TRUE(e > 0 && std::isfinite(e));
    uniform += u;
    exponential += e;
    ++faces[random.Below(6)];
  }
  EXPECT_NEAR(uniform / kDraws, 0.5, 0.005);                           // 7 standard errors
  EXPECT_NEAR(exponential / kDraws, 2.0, 0.03);                        // 6.7 standard errors
  for (const int count : faces) EXPECT_NEAR(count, kDraws / 6, 1200);  // 7 standard errors
  EXPECT_EQ(random.Below(1), 0u);
  for (int i = 0; i < 100; ++i) EXPECT_LT(random.Below((uint64_t{1} << 63) + 1), (uint64_t{1} << 63) + 1);
}

TEST(JsonTest, IsAlwaysValid) {
  EXPECT_EQ(JsonString("a\"b\\c\nd\x01"), "\"a\\\"b\\\\c\\nd\\u0001\"");
  EXPECT_EQ(JsonString("\xd8\xb3\xf0\x9f\x98\x80"), "\"\xd8\xb3\xf0\x9f\x98\x80\"");
  EXPECT_EQ(JsonString("a\xff\xe2\x82"), "\"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
  EXPECT_EQ(JsonString(std::string_view("\0", 1)), "\"\\u0000\"");
  EXPECT_EQ(JsonNumber(0.1), "0.1");
  EXPECT_EQ(JsonNumber(3), "3");
  EXPECT_EQ(JsonNumber(std::nan("")), "null");
  EXPECT_EQ(JsonNumber(HUGE_VAL), "null");
}

TEST(FileTest, WritesAndReadsBack) {
  const TemporaryFolder folder;
  const std::string text("a\0b\n", 4);
  ASSERT_TRUE(WriteFileAtomic(folder / "x", "old").ok());
  ASSERT_TRUE(WriteFileAtomic(folder / "x", text).ok());
  EXPECT_EQ(*ReadFile(folder / "x"), text);
  EXPECT_EQ(folder.files(), 1u);  // no temporary file is left
  EXPECT_FALSE(ReadFile("/proc/self/status")->empty());
}

TEST(FileTest, ErrorsNameThePath) {
  const TemporaryFolder folder;
  const std::string missing = folder / "missing";
  EXPECT_EQ(ReadFile(missing).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(ReadFile(missing).status().message()), HasSubstr(missing));
  EXPECT_FALSE(ReadFile(folder / ".").ok());
  ASSERT_TRUE(WriteFileAtomic(folder / "x", "12345").ok());
  EXPECT_TRUE(ReadFile(folder / "x", 5).ok());
  EXPECT_THAT(std::string(ReadFile(folder / "x", 4).status().message()), HasSubstr("larger than 4 bytes"));
  EXPECT_EQ(WriteFileAtomic(missing + "/x", "text").code(), absl::StatusCode::kNotFound);
}

// Each of these would wait for another process, or never end.
TEST(FileTest, ReadsRegularFilesOnly) {
  const TemporaryFolder folder;
  const std::string fifo = folder / "fifo", link = folder / "link", local = folder / "socket";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  std::filesystem::create_symlink(fifo, link);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ASSERT_LT(local.size(), sizeof(address.sun_path));
  local.copy(address.sun_path, local.size());
  ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  for (const std::string& path : {fifo, link, local, folder / ".", std::string("/dev/zero")}) {
    EXPECT_EQ(ReadFile(path).status(), absl::InvalidArgumentError(path + " is not a regular file"));
  }
  close(fd);
}

TEST(FileTest, AFailedWriteLeavesTheOldFile) {
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteFileAtomic(folder / "x", "old").ok());
  // A name that leaves no room for the suffix of the temporary file; a full disk takes the same way out.
  const std::string longest = folder / std::string(255, 'n');
  {
    const int fd = open(longest.c_str(), O_CREAT | O_WRONLY, 0600);
    ASSERT_GE(fd, 0);
    ASSERT_EQ(write(fd, "old", 3), 3);
    close(fd);
  }
  EXPECT_FALSE(WriteFileAtomic(longest, "new").ok());
  EXPECT_EQ(*ReadFile(longest), "old");
  EXPECT_EQ(folder.files(), 2u);
}

}  // namespace
}  // namespace lab
