#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "services/cacheapi/trace_replay.h"
#include "services/runtime/base/file.h"

// The published hit ratios, on the published trace: LAB_TRACE=…/arc_oltp.lis, or .lis.zst with zstd installed. Get it
// from moka-rs/cache-trace (arc/OLTP.lis.zst).
namespace lab::cacheapi {
namespace {

std::string ReadTrace(const std::string& path) {
  if (!path.ends_with(".zst")) {
    constexpr size_t kMostBytes = 1 << 30;
    const auto text = ReadFile(path, kMostBytes);
    EXPECT_TRUE(text.ok()) << text.status();
    return text.value_or("");
  }
  std::FILE* pipe = popen(("zstd -dc -- '" + path + "'").c_str(), "r");
  if (pipe == nullptr) return "";
  std::string text;
  char block[1 << 16];
  while (const size_t size = std::fread(block, 1, sizeof(block), pipe)) text.append(block, size);
  EXPECT_EQ(pclose(pipe), 0) << "zstd could not read " << path;
  return text;
}

class ArcOltp : public testing::Test {
 protected:
  void SetUp() override {
    const char* path = std::getenv("LAB_TRACE");
    if (path == nullptr || *path == '\0') GTEST_SKIP() << "LAB_TRACE names no trace";
    auto trace = ParseTrace(ReadTrace(path), TraceFormat::kArc);
    ASSERT_TRUE(trace.ok()) << trace.status();
    trace_ = std::move(*trace);
    ASSERT_EQ(trace_.size(), 914'145u) << "not the trace OLTP";
  }
  // Percent.
  double HitRatio(EvictionKind kind, size_t entries) const { return 100 * Replay(trace_, kind, entries).hit_ratio(); }
  Trace trace_;
};

// Megiddo and Modha, "ARC: A Self-Tuning, Low Overhead Replacement Cache", FAST 2003, table II.
TEST_F(ArcOltp, LruHitsAsOftenAsPublished) {
  EXPECT_NEAR(HitRatio(EvictionKind::kLru, 1'000), 32.83, 0.005);
  EXPECT_NEAR(HitRatio(EvictionKind::kLru, 2'000), 42.47, 0.005);
  EXPECT_NEAR(HitRatio(EvictionKind::kLru, 5'000), 53.65, 0.005);
  EXPECT_NEAR(HitRatio(EvictionKind::kLru, 10'000), 60.70, 0.005);
}

TEST_F(ArcOltp, BetterPoliciesAreFourPointsBetter) {
  const double lru = HitRatio(EvictionKind::kLru, 1'000);
  const double s3fifo = HitRatio(EvictionKind::kS3Fifo, 1'000);
  const double tinylfu = HitRatio(EvictionKind::kTinyLfu, 1'000);
  std::printf("%6s %8s %8s %8s\n", "pages", "lru", "s3fifo", "tinylfu");
  for (const size_t entries : {250u, 500u, 1'000u, 2'000u, 5'000u, 10'000u, 15'000u}) {
    std::printf("%6zu %7.2f%% %7.2f%% %7.2f%%\n", entries, HitRatio(EvictionKind::kLru, entries),
                HitRatio(EvictionKind::kS3Fifo, entries), HitRatio(EvictionKind::kTinyLfu, entries));
  }
  EXPECT_GE(s3fifo, lru + 4);
  EXPECT_GE(tinylfu, lru + 4);
}

}  // namespace
}  // namespace lab::cacheapi
