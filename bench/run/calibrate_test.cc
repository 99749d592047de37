#include "bench/run/calibrate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/run/fingerprint.h"
#include "bench/run/knee_store.h"
#include "bench/run/testing.h"

namespace lab::bench {
namespace {

Op Answered(double at_s, double latency_s, Outcome outcome = Outcome::kOk) {
  Op op;
  op.intended_ns = static_cast<int64_t>(at_s * 1e9);
  op.sent_ns = op.intended_ns;
  op.done_ns = op.intended_ns + static_cast<int64_t>(latency_s * 1e9);
  op.outcome = outcome;
  return op;
}

KneeSpec Objective() { return {Millis(20), 0.01, 0, 0}; }

TEST(ProbeTest, CountsWhatWasIntendedInItsTime) {
  std::vector<Op> ops = {Answered(0.1, 9)};  // in the warm-up: however long it took
  for (int i = 0; i < 1000; ++i) ops.push_back(Answered(0.2 + i * 0.001, i < 985 ? 0.001 : 0.015));
  const KneeProbe probe = ProbeOf(ops, 0.2, 1.2, Objective());
  EXPECT_EQ(probe.samples, 1000u);
  EXPECT_NEAR(probe.p99_s, 0.015, 1e-9);
  EXPECT_NEAR(probe.achieved_per_s, 1000, 1e-6);
  EXPECT_TRUE(probe.meets);
}

TEST(ProbeTest, MissesByLatencyAndByErrorsAlike) {
  std::vector<Op> slow, failed, dropped;
  for (int i = 0; i < 1000; ++i) {
    const bool tail = i % 50 == 0;  // 2 %
    const double at_s = i * 0.001;
    slow.push_back(Answered(at_s, tail ? 0.03 : 0.001));
    failed.push_back(Answered(at_s, 0.001, tail ? Outcome::kFailed : Outcome::kOk));
    dropped.push_back(Answered(at_s, 0.001, tail ? Outcome::kDropped : Outcome::kOk));
  }
  EXPECT_FALSE(ProbeOf(slow, 0, 1, Objective()).meets);
  EXPECT_DOUBLE_EQ(ProbeOf(slow, 0, 1, Objective()).error_ratio, 0);
  EXPECT_FALSE(ProbeOf(failed, 0, 1, Objective()).meets);
  EXPECT_NEAR(ProbeOf(failed, 0, 1, Objective()).error_ratio, 0.02, 1e-9);
  EXPECT_FALSE(ProbeOf(dropped, 0, 1, Objective()).meets);
  EXPECT_EQ(ProbeOf(dropped, 0, 1, Objective()).samples, 980u) << "what was never sent has no latency";
}

TEST(ProbeTest, NothingIsNoSuccess) { EXPECT_FALSE(ProbeOf({}, 0, 1, Objective()).meets); }

TEST(FingerprintTest, IsSha256) {  // FIPS 180-4, examples of one and two blocks
  EXPECT_EQ(Sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  const TemporaryFolder folder;
  folder.Write("program", "abc");
  EXPECT_EQ(*FileSha256(folder.path() + "/program"), Sha256("abc"));
  EXPECT_FALSE(FileSha256(folder.path() + "/nothing").ok());
}

class KneeStoreTest : public testing::Test {
 protected:
  KneeStoreTest() {
    lab_ = TinyLab();
    lab_.system.erase(lab_.system.begin());  // without the Redis: the host need not have one
    lab_.system[0].set["binary"] = folder_.path() + "/program";
    folder_.Write("program", "#!/bin/sh\n");
    std::filesystem::permissions(folder_.path() + "/program", std::filesystem::perms::owner_all);
    lab_.reference = "first";
    lab_.knee = Objective();
    lab_.load[0].rate = {};
    lab_.load[0].rate.of_knee = 0.6;
    options_.root = folder_.path();
  }
  std::string Key() { return KneeKey(lab_, options_).value(); }

  const TemporaryFolder folder_;
  Lab lab_;
  RunOptions options_;
};

TEST_F(KneeStoreTest, TheKeyChangesWithWhateverTheKneeDependsOn) {
  std::set<std::string> keys = {Key()};
  EXPECT_EQ(keys.count(Key()), 1u) << "the same twice";
  folder_.Write("program", "#!/bin/sh\ntrue\n");
  std::filesystem::last_write_time(folder_.path() + "/program",
                                   std::filesystem::file_time_type::clock::now() + std::chrono::hours(1));
  EXPECT_TRUE(keys.insert(Key()).second) << "the program";
  options_.set["ratelimit"]["answer"] = "429";
  EXPECT_TRUE(keys.insert(Key()).second) << "--set";
  lab_.variants[0].set["ratelimit"]["other"] = "1";
  EXPECT_TRUE(keys.insert(Key()).second) << "the reference";
  lab_.variants[1].set["ratelimit"]["other"] = "1";
  EXPECT_FALSE(keys.insert(Key()).second) << "another variant has nothing to do with it";
  lab_.system[0].files["rules.yaml"] = "domain: other\n";
  EXPECT_TRUE(keys.insert(Key()).second) << "its files";
  lab_.load[0].keys.count = 5;
  EXPECT_TRUE(keys.insert(Key()).second) << "the load";
  lab_.system[0].disk_bytes = 1 << 24;
  EXPECT_TRUE(keys.insert(Key()).second) << "a disk of its own";
  lab_.private_network = true;
  EXPECT_TRUE(keys.insert(Key()).second) << "a network of its own";
  lab_.knee->p99 = Millis(30);
  EXPECT_TRUE(keys.insert(Key()).second) << "the objective";
  options_.seed = 99;
  EXPECT_FALSE(keys.insert(Key()).second) << "a seed decides nothing";
}

TEST_F(KneeStoreTest, KeepsWhatWasFoundAndDoubtsWhatItCannotRead) {
  EXPECT_FALSE(KeptKnee(folder_.path(), Key()));
  Knee knee;
  knee.variant = "first";
  knee.objective = ObjectiveText(*lab_.knee);
  knee.per_s = 7200;
  knee.at_least = true;
  knee.found = "2026-11-21T18:00:00+0000";
  knee.took_s = 17.5;
  knee.probes = {{"bracket", 1000, 0.7, true, 0.0012, 0, 998, 700}};
  KeepKnee(folder_.path(), Key(), knee);
  const std::optional<Knee> kept = KeptKnee(folder_.path(), Key());
  ASSERT_TRUE(kept);
  EXPECT_EQ(*kept->per_s, 7200);
  EXPECT_TRUE(kept->at_least);
  EXPECT_EQ(kept->source, "kept");
  EXPECT_EQ(kept->objective, "p99 <= 20 ms, errors <= 1 %");
  ASSERT_EQ(kept->probes.size(), 1u);
  EXPECT_EQ(kept->probes[0].samples, 700u);
  for (const char* text :
       {"", "{", "[]", "{\"schema\": \"lab-knee/3\"}", "{\"schema\": \"lab-knee/2\", \"knee\": {\"per_s\": \"x\"}}"}) {
    folder_.Write(".lab/knees/" + Key() + ".json", text);
    EXPECT_FALSE(KeptKnee(folder_.path(), Key())) << text;
  }
  for (const std::optional<double> per_s :
       {std::optional<double>(), std::optional(0.0), std::optional(-5.0), std::optional(1e7), std::optional(1e300)}) {
    knee.per_s = per_s;
    KeepKnee(folder_.path(), Key(), knee);
    EXPECT_FALSE(KeptKnee(folder_.path(), Key())) << per_s.value_or(NAN) << " is no rate of a load";
  }
}

TEST_F(KneeStoreTest, AQuickRunTakesWhatIsDeclared) {
  Progress progress;
  lab_.knee->quick_per_s = 4000;
  options_.quick = true;
  const absl::StatusOr<Knee> knee = Calibrate(lab_, options_, folder_.path() + "/knee", progress);
  ASSERT_TRUE(knee.ok()) << knee.status();
  EXPECT_EQ(*knee->per_s, 4000);
  EXPECT_EQ(knee->source, "declared");
  EXPECT_EQ(WithKnee(lab_, *knee->per_s).load[0].rate.per_s, 2400);
}

TEST_F(KneeStoreTest, SharesByPhaseBecomeRates) {
  lab_.load[0].rate = {};
  lab_.load[0].rate.by_phase = {{"warm", 0}, {"busy", 0}};
  lab_.load[0].rate.of_knee_by_phase = {{"busy", 1.5}};
  const Lab rated = WithKnee(lab_, 1000);
  EXPECT_EQ(rated.load[0].rate.by_phase.at("warm"), 0);
  EXPECT_EQ(rated.load[0].rate.by_phase.at("busy"), 1500);
  EXPECT_FALSE(UsesKnee(rated));
}

}  // namespace
}  // namespace lab::bench
