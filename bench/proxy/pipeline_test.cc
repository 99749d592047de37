#include "bench/proxy/pipeline.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/runtime/base/text.h"

namespace lab::proxy {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;

Toxic Make(const char* type, std::vector<int64_t> values, float toxicity = 1) {
  Toxic toxic;
  toxic.kind = FindToxicKind(type);
  toxic.name = type;
  toxic.values = std::move(values);
  toxic.toxicity = toxicity;
  return toxic;
}

// A pipeline with a clock of its own.
class PipelineTest : public testing::Test {
 protected:
  void Add(const char* type, std::vector<int64_t> values) { pipeline_.Add(Make(type, std::move(values)), now_); }
  void Push(std::string_view bytes) {
    pipeline_.Push(bytes, now_);
    pipeline_.Run(now_);
  }
  void End(lab::proxy::End end) {
    pipeline_.PushEnd(end, now_);
    pipeline_.Run(now_);
  }
  void Pass(Nanos time) {
    now_ += time;
    pipeline_.Run(now_);
  }
  // What has come out since the last call, a text a chunk.
  std::vector<std::string> Out() {
    std::vector<std::string> chunks;
    while (!pipeline_.output().empty()) chunks.emplace_back(pipeline_.output().Pop().rest());
    return chunks;
  }
  std::string OutText() {
    std::string text;
    for (const std::string& chunk : Out()) text += chunk;
    return text;
  }
  Millis Wait() { return std::chrono::duration_cast<Millis>(pipeline_.Due().value_or(now_ - seconds(1)) - now_); }

  Random random_{1};
  Clock::time_point now_ = Clock::time_point(std::chrono::hours(1));
  Pipeline pipeline_{random_};
};

TEST_F(PipelineTest, WithoutToxicsEverythingPassesAtOnce) {
  EXPECT_TRUE(pipeline_.Bypass());
  Push("a");
  EXPECT_FALSE(pipeline_.Bypass());
  Push("b");
  End(End::kShut);
  EXPECT_THAT(Out(), ElementsAre("a", "b"));
  EXPECT_EQ(pipeline_.end(), End::kShut);
  EXPECT_FALSE(pipeline_.Wants());
}

TEST_F(PipelineTest, LatencyDelaysEachChunkAndPipelinesThem) {
  Add("latency", {100, 0});
  Push("a");
  Pass(Millis(60));
  Push("b");
  End(End::kShut);
  EXPECT_EQ(Wait(), Millis(40));
  Pass(Millis(40));
  EXPECT_THAT(Out(), ElementsAre("a"));
  EXPECT_FALSE(pipeline_.end());
  EXPECT_EQ(Wait(), Millis(60));  // since it was read: not one after the other
  Pass(Millis(60));
  EXPECT_THAT(Out(), ElementsAre("b"));
  EXPECT_TRUE(pipeline_.end());
}

TEST_F(PipelineTest, LatenciesAddUp) {
  Add("latency", {30, 0});
  pipeline_.Add(
      [] {
        Toxic toxic = Make("latency", {20, 0});
        toxic.name = "second";
        return toxic;
      }(),
      now_);
  Push("a");
  Pass(Millis(49));
  EXPECT_THAT(Out(), ElementsAre());
  Pass(Millis(1));
  EXPECT_THAT(Out(), ElementsAre("a"));
}

TEST_F(PipelineTest, JitterStaysInItsRangeAndKeepsOrder) {
  Add("latency", {10, 5});
  std::string sent;
  for (char c = 'a'; c <= 'z'; ++c) {
    Push(std::string(1, c));
    sent += c;
    Pass(Millis(1));
  }
  std::string got = OutText();
  EXPECT_FALSE(got.empty());
  for (int i = 0; i < 15; ++i) {
    Pass(Millis(1));
    got += OutText();
  }
  EXPECT_EQ(got, sent);
  Push("x");
  Pass(Micros(4999));
  EXPECT_THAT(Out(), ElementsAre());
}

TEST_F(PipelineTest, UpdatedLatencyGoesForWhatIsOnItsWay) {
  Add("latency", {100, 0});
  Push("a");
  pipeline_.Update(Make("latency", {300, 0}), now_);
  Pass(Millis(299));
  EXPECT_THAT(Out(), ElementsAre());
  pipeline_.Update(Make("latency", {50, 0}), now_);
  EXPECT_THAT(Out(), ElementsAre("a"));
}

TEST_F(PipelineTest, RemovingLatencyHandsOnWhatItHolds) {
  Add("latency", {100'000, 0});
  Push("a");
  Push("b");
  End(End::kShut);
  pipeline_.Remove("latency", now_);
  EXPECT_THAT(Out(), ElementsAre("a", "b"));
  EXPECT_EQ(pipeline_.end(), End::kShut);
}

TEST_F(PipelineTest, BandwidthIsARateOfThousandByteUnits) {
  Add("bandwidth", {10});  // 10 bytes a millisecond
  Push(std::string(5'000, 'x'));
  End(End::kShut);
  Pass(Millis(99));
  EXPECT_EQ(OutText().size(), 0u);
  Pass(Millis(1));
  EXPECT_EQ(OutText().size(), 1'000u);  // in pieces of 100 ms
  Pass(Millis(399));
  EXPECT_EQ(OutText().size(), 3'000u);
  EXPECT_FALSE(pipeline_.end());
  Pass(Millis(1));
  EXPECT_EQ(OutText().size(), 1'000u);
  EXPECT_TRUE(pipeline_.end());
}

TEST_F(PipelineTest, BandwidthDoesNotSaveUpWhatWasNotUsed) {
  Add("bandwidth", {1});
  Pass(seconds(10));
  Push(std::string(100, 'x'));
  Pass(Millis(99));
  EXPECT_EQ(OutText().size(), 0u);
  Pass(Millis(1));
  EXPECT_EQ(OutText().size(), 100u);
}

TEST_F(PipelineTest, ABandwidthOfZeroLetsNothingPass) {
  Add("bandwidth", {0});
  Push("a");
  Pass(std::chrono::hours(1));
  EXPECT_THAT(Out(), ElementsAre());
  EXPECT_FALSE(pipeline_.Due());
  pipeline_.Update(Make("bandwidth", {1}), now_);
  Pass(Millis(1));
  EXPECT_THAT(Out(), ElementsAre("a"));
}

TEST_F(PipelineTest, SlowCloseDelaysOnlyTheEnd) {
  Add("slow_close", {100});
  Push("a");
  End(End::kReset);
  EXPECT_THAT(Out(), ElementsAre("a"));
  Pass(Millis(99));
  EXPECT_FALSE(pipeline_.end());
  Pass(Millis(1));
  EXPECT_EQ(pipeline_.end(), End::kReset);
}

TEST_F(PipelineTest, TimeoutDropsAndClosesAfterItsTime) {
  Add("timeout", {100});
  Pass(Millis(90));
  Push("lost");
  Pass(Millis(90));
  EXPECT_FALSE(pipeline_.end());  // counted from the last data
  Pass(Millis(10));
  EXPECT_EQ(pipeline_.end(), End::kClose);
  EXPECT_THAT(Out(), ElementsAre());
}

TEST_F(PipelineTest, ATimeoutOfZeroNeverCloses) {
  Add("timeout", {0});
  Push("lost");
  Pass(std::chrono::hours(24));
  EXPECT_FALSE(pipeline_.end());
  EXPECT_TRUE(pipeline_.Wants());
  pipeline_.Remove("timeout", now_);
  EXPECT_EQ(pipeline_.end(), End::kClose) << "the stream has a hole";
}

TEST_F(PipelineTest, ResetPeerResetsAfterTheFirstThing) {
  Add("reset_peer", {50});
  Pass(seconds(10));
  EXPECT_FALSE(pipeline_.end());
  Push("lost");
  Pass(Millis(49));
  EXPECT_FALSE(pipeline_.end());
  Pass(Millis(1));
  EXPECT_EQ(pipeline_.end(), End::kReset);
  EXPECT_THAT(Out(), ElementsAre());
}

TEST_F(PipelineTest, ResetPeerThatWasNotHitGoesWithoutATrace) {
  Add("reset_peer", {50});
  pipeline_.Remove("reset_peer", now_);
  Push("a");
  EXPECT_THAT(Out(), ElementsAre("a"));
}

TEST_F(PipelineTest, SlicerCutsWithinItsVariation) {
  Add("slicer", {10, 4, 1'000});
  Push(std::string(200, 'x'));
  std::vector<std::string> slices;
  for (int i = 0; i < 100; ++i) {
    const std::vector<std::string> out = Out();
    EXPECT_LE(out.size(), 1u) << "a slice a millisecond";
    slices.insert(slices.end(), out.begin(), out.end());
    Pass(Millis(1));
  }
  size_t total = 0;
  for (size_t i = 0; i < slices.size(); ++i) {
    total += slices[i].size();
    EXPECT_LE(slices[i].size(), 14u);
    if (i + 1 < slices.size()) {
      EXPECT_GE(slices[i].size(), 6u);
    }
  }
  EXPECT_EQ(total, 200u);
  EXPECT_GE(slices.size(), 14u);
}

TEST_F(PipelineTest, SlicerBearsAnySize) {
  Add("slicer", {0, 100, 0});
  Push("abc");
  EXPECT_THAT(Out(), ElementsAre("a", "b", "c"));
  pipeline_.Update(Make("slicer", {-5, INT64_MAX, INT64_MIN}), now_);
  Push("abc");
  EXPECT_EQ(OutText(), "abc");
}

TEST_F(PipelineTest, LimitDataPassesSoManyBytesAndCloses) {
  Add("limit_data", {5});
  Push("abc");
  EXPECT_THAT(Out(), ElementsAre("abc"));
  EXPECT_TRUE(pipeline_.Wants());
  Push("defg");
  EXPECT_THAT(Out(), ElementsAre("de"));
  EXPECT_EQ(pipeline_.end(), End::kClose);
  EXPECT_FALSE(pipeline_.Wants());
  Push("more");
  EXPECT_THAT(Out(), ElementsAre());
}

TEST_F(PipelineTest, LimitDataRemembersWhatHasPassed) {
  Add("limit_data", {5});
  Push("abc");
  pipeline_.Update(Make("limit_data", {4}), now_);
  Push("def");
  EXPECT_EQ(OutText(), "abcd");
  EXPECT_EQ(pipeline_.end(), End::kClose);
}

TEST_F(PipelineTest, WhatPassedTheLimitIsNotLostBehindIt) {
  Add("limit_data", {3});
  Add("latency", {100, 0});
  Push("abcdef");
  EXPECT_FALSE(pipeline_.end());
  Pass(Millis(100));
  EXPECT_EQ(OutText(), "abc");
  EXPECT_EQ(pipeline_.end(), End::kClose);
}

TEST_F(PipelineTest, ToxicityZeroAffectsNobody) {
  pipeline_.Add(Make("timeout", {1}, 0), now_);
  Push("a");
  Pass(seconds(1));
  EXPECT_THAT(Out(), ElementsAre("a"));
  EXPECT_FALSE(pipeline_.end());
  pipeline_.Update(Make("timeout", {1}, 1), now_);  // now it does
  Push("b");
  Pass(seconds(1));
  EXPECT_THAT(Out(), ElementsAre());
  EXPECT_EQ(pipeline_.end(), End::kClose);
}

TEST_F(PipelineTest, ToxicityIsAShareOfTheConnections) {
  int affected = 0;
  for (int i = 0; i < 2'000; ++i) {
    Pipeline pipeline(random_);
    pipeline.Add(Make("timeout", {0}, 0.25f), now_);
    pipeline.Push("a", now_);
    pipeline.Run(now_);
    affected += pipeline.output().empty() ? 1 : 0;
  }
  EXPECT_NEAR(affected, 500, 100);
}

TEST_F(PipelineTest, IsBounded) {
  Add("latency", {100'000, 0});
  size_t pushed = 0;
  for (; pipeline_.Wants(); ++pushed) Push("tiny");
  EXPECT_LE(pushed, Pipeline::kBound / ChunkQueue::kOverhead + 1);
  EXPECT_GE(pipeline_.held(), Pipeline::kBound);
  pipeline_.Remove("latency", now_);
  EXPECT_EQ(OutText().size(), pushed * 4);
  EXPECT_EQ(pipeline_.held(), 0u);
  EXPECT_TRUE(pipeline_.Wants());
}

// Any toxics that drop nothing, added, changed and removed at any moment: every byte comes out, in order.
TEST_F(PipelineTest, NothingIsLostOrReorderedWhileToxicsChange) {
  const std::vector<Toxic> kinds = {
      Make("latency", {20, 20}), Make("bandwidth", {40}), Make("slicer", {7, 3, 200}),
      Make("slow_close", {30}),  Make("noop", {}),        Make("limit_data", {INT64_MAX})};
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(Concat("seed ", seed));
    Random dice(seed);
    Pipeline pipeline(dice);
    Clock::time_point now = now_;
    std::string sent, got;
    std::vector<Toxic> there;
    const auto drain = [&] {
      while (!pipeline.output().empty()) got += pipeline.output().Pop().rest();
    };
    for (int step = 0; step < 200; ++step) {
      const uint64_t what = dice.Below(10);
      if (what < 6) {
        std::string bytes;
        for (uint64_t i = dice.Below(100); i > 0; --i) bytes += static_cast<char>('a' + dice.Below(26));
        sent += bytes;
        if (!bytes.empty()) pipeline.Push(bytes, now);
      } else if (what == 6 && there.size() < 6) {
        Toxic toxic = kinds[dice.Below(kinds.size())];
        toxic.name = Concat("t", step);
        toxic.toxicity = dice.Below(2) == 0 ? 1.0f : 0.5f;
        pipeline.Add(toxic, now);
        there.push_back(toxic);
      } else if (what == 7 && !there.empty()) {
        Toxic& toxic = there[dice.Below(there.size())];
        for (int64_t& value : toxic.values)
          value = value == INT64_MAX ? value : static_cast<int64_t>(dice.Below(50)) + 1;
        toxic.toxicity = dice.Below(2) == 0 ? 1.0f : 0.0f;
        pipeline.Update(toxic, now);
      } else if (what == 8 && !there.empty()) {
        const size_t at = dice.Below(there.size());
        pipeline.Remove(there[at].name, now);
        there.erase(there.begin() + static_cast<std::ptrdiff_t>(at));
      }
      now += Micros(dice.Below(8'000));
      pipeline.Run(now);
      drain();
      ASSERT_EQ(got, sent.substr(0, got.size()));
    }
    pipeline.PushEnd(End::kShut, now);
    for (int i = 0; i < 100'000 && !pipeline.end(); ++i) {
      pipeline.Run(now);
      drain();
      now = std::max(now, pipeline.Due().value_or(now));
    }
    drain();
    ASSERT_EQ(got, sent);
    ASSERT_EQ(pipeline.end(), End::kShut);
    ASSERT_EQ(pipeline.held(), 0u);
  }
}

}  // namespace
}  // namespace lab::proxy
