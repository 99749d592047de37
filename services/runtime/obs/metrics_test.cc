#include "services/runtime/obs/metrics.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <sstream>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/text.h"
#include "services/runtime/obs/process.h"

namespace lab::obs {
namespace {

using ::testing::HasSubstr;

// The value of a sample by its full name, or -1.
double Sample(const std::string& text, const std::string& name) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(name + " ", 0) == 0) return std::stod(line.substr(name.size() + 1));
  }
  return -1;
}

TEST(MetricsTest, WritesTheTextFormat) {
  Metrics metrics;
  metrics.AddCounter("lab_calls_total", "Calls", {{"outcome", "ok"}}).Increment(3);
  metrics.AddGauge("lab_queue_items", "Waiting items").Set(7);
  Histogram& histogram = metrics.AddHistogram("lab_call_duration_seconds", "Duration", {0.001, 0.01});
  histogram.Observe(0.0005);
  histogram.Observe(5);
  const std::string text = metrics.Text();
  EXPECT_EQ(Sample(text, "lab_calls_total{outcome=\"ok\"}"), 3);
  EXPECT_EQ(Sample(text, "lab_queue_items"), 7);
  EXPECT_EQ(Sample(text, "lab_call_duration_seconds_bucket{le=\"0.001\"}"), 1);
  EXPECT_EQ(Sample(text, "lab_call_duration_seconds_bucket{le=\"+Inf\"}"), 2);
  EXPECT_EQ(Sample(text, "lab_call_duration_seconds_count"), 2);
  EXPECT_THAT(text, HasSubstr("# TYPE lab_call_duration_seconds histogram"));
}

TEST(MetricsTest, TheSameNameAndLabelsAreTheSameHandle) {
  Metrics metrics;
  Counter& first = metrics.AddCounter("lab_calls_total", "Calls", {{"outcome", "ok"}});
  EXPECT_EQ(&first, &metrics.AddCounter("lab_calls_total", "Calls", {{"outcome", "ok"}}));
  EXPECT_NE(&first, &metrics.AddCounter("lab_calls_total", "Calls", {{"outcome", "error"}}));
  EXPECT_ANY_THROW(metrics.AddGauge("lab_calls_total", "Calls"));
  EXPECT_ANY_THROW(metrics.AddCounter("not a name", "Calls"));
}

TEST(MetricsTest, ProcessMetricsFollowTheProcess) {
  Metrics metrics;
  const std::string before = metrics.Text();
  EXPECT_GT(Sample(before, "process_resident_memory_bytes"), 1e6);
  EXPECT_NEAR(Sample(before, "process_start_time_seconds"), static_cast<double>(time(nullptr)), 600);
  EXPECT_GT(Sample(before, "process_max_fds"), 0);
  const double fds = Sample(before, "process_open_fds");
  const int fd = dup(0);
  const double threads = Sample(before, "process_threads");
  double threads_during = 0;
  std::thread([&] { threads_during = ReadProcessUsage().threads; }).join();
  EXPECT_GE(threads_during, threads + 1);  // a sanitizer may have started one of its own
  EXPECT_EQ(Sample(metrics.Text(), "process_open_fds"), fds + 1);
  close(fd);
  EXPECT_GT(Sample(metrics.Text(), "process_cpu_seconds_total"), Sample(before, "process_cpu_seconds_total"));
}

TEST(MetricsTest, LatencyBucketsAscend) {
  const std::vector<double>& buckets = LatencyBuckets();
  EXPECT_TRUE(std::is_sorted(buckets.begin(), buckets.end()));
  EXPECT_EQ(buckets.front(), 50e-6);
  EXPECT_EQ(buckets.back(), 10);
}

class PromtoolTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* named = std::getenv("LAB_PROMTOOL");
    promtool_ = named != nullptr ? named : "promtool";
    if (std::system(Concat("command -v ", promtool_, " >/dev/null").c_str()) != 0) {
      GTEST_SKIP() << "no promtool (Debian package prometheus, or LAB_PROMTOOL=<path>)";
    }
  }

  // Status of `promtool check metrics`; 0 is clean.
  int Check(const std::string& text) {
    const std::string file = Concat(testing::TempDir(), "lab_metrics_", getpid());
    EXPECT_TRUE(WriteFileAtomic(file, text).ok());
    const int status = std::system(Concat(promtool_, " check metrics <", file).c_str());
    unlink(file.c_str());
    return status;
  }

  std::string promtool_;
};

TEST_F(PromtoolTest, FindsNothingToComplainAbout) {
  Metrics metrics;
  metrics.AddCounter("lab_calls_total", "Calls", {{"outcome", "ok"}}).Increment();
  metrics.AddHistogram("lab_call_duration_seconds", "Duration", LatencyBuckets()).Observe(0.1);
  EXPECT_EQ(Check(metrics.Text()), 0);
}

TEST_F(PromtoolTest, ComplainsAboutACounterWithoutTotal) {
  Metrics metrics;
  metrics.AddCounter("lab_calls", "Calls").Increment();
  EXPECT_NE(Check(metrics.Text()), 0);
}

}  // namespace
}  // namespace lab::obs
