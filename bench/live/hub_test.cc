#include "bench/live/hub.h"

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/runtime/base/text.h"

namespace lab::bench::live {
namespace {

using ::testing::ElementsAre;

std::vector<uint64_t> Ids(const Hub::Batch& batch) {
  std::vector<uint64_t> ids;
  for (const Event& event : batch.events) ids.push_back(event.id);
  return ids;
}

TEST(HubTest, NumbersEventsAndGivesThoseAfterAnyOfThem) {
  Hub hub;
  EXPECT_EQ(hub.Publish("note", "{\"text\":\"a\"}"), 1u);
  EXPECT_EQ(hub.Publish("second", "{}"), 2u);
  EXPECT_EQ(hub.Publish("note", "{}"), 3u);
  const Hub::Batch all = hub.After(0, 1 << 20);
  EXPECT_FALSE(all.gap);
  EXPECT_THAT(Ids(all), ElementsAre(1, 2, 3));
  EXPECT_EQ(all.events[0].type, "note");
  EXPECT_EQ(all.events[0].json, "{\"text\":\"a\"}");
  EXPECT_THAT(Ids(hub.After(2, 1 << 20)), ElementsAre(3));
  EXPECT_TRUE(hub.After(3, 1 << 20).events.empty());
}

TEST(HubTest, ABatchIsBoundedButNeverEmptyWhileThereIsMore) {
  Hub hub;
  for (int i = 0; i < 3; ++i) hub.Publish("n", std::string(99, 'x'));
  EXPECT_THAT(Ids(hub.After(0, 200)), ElementsAre(1, 2));
  EXPECT_THAT(Ids(hub.After(0, 10)), ElementsAre(1));
}

TEST(HubTest, WhoMissedEventsThatAreGoneIsToldSo) {
  Hub hub({.max_events = 3});
  for (int i = 0; i < 5; ++i) hub.Publish("n", "{}");
  const Hub::Batch late = hub.After(1, 1 << 20);
  EXPECT_TRUE(late.gap);
  EXPECT_THAT(Ids(late), ElementsAre(3, 4, 5));
  EXPECT_FALSE(hub.After(2, 1 << 20).gap);
  // Who has seen nothing begins with what there is.
  EXPECT_FALSE(hub.After(0, 1 << 20).gap);
  EXPECT_THAT(Ids(hub.After(0, 1 << 20)), ElementsAre(3, 4, 5));
  // A number that was never given belongs to another hub.
  const Hub::Batch stranger = hub.After(77, 1 << 20);
  EXPECT_TRUE(stranger.gap);
  EXPECT_THAT(Ids(stranger), ElementsAre(3, 4, 5));
}

TEST(HubTest, TheRingIsBoundedInBytesToo) {
  Hub hub({.max_events = 100, .max_bytes = 1000});
  for (int i = 0; i < 20; ++i) hub.Publish("n", std::string(99, 'x'));
  EXPECT_EQ(hub.After(0, 1 << 20).events.size(), 10u);
  hub.Publish("n", std::string(5000, 'x'));  // too large alone: the newest is kept all the same
  EXPECT_THAT(Ids(hub.After(0, 1 << 20)), ElementsAre(21));
}

TEST(HubTest, TheStateIsOneDocument) {
  Hub hub;
  EXPECT_EQ(nlohmann::json::parse(hub.State())["last_event"], 0);
  hub.SetState("lab", "\"a \\\"b\\\"\"");
  hub.SetState("parts", "[{\"name\":\"redis\"}]");
  hub.SetState("lab", "\"c\"");
  hub.Publish("note", "{}");
  const nlohmann::json state = nlohmann::json::parse(hub.State());
  EXPECT_EQ(state["last_event"], hub.last_event());
  EXPECT_EQ(state["lab"], "c");
  EXPECT_EQ(state["parts"][0]["name"], "redis");
}

TEST(HubTest, AChangeOfTheStateIsAnEventWhenItIsOne) {
  Hub hub;
  hub.SetState("load_factor", "2");
  hub.SetState("load_factor", "2");
  const Hub::Batch batch = hub.After(0, 1 << 20);
  ASSERT_THAT(Ids(batch), ElementsAre(1));
  EXPECT_EQ(batch.events[0].type, "state");
  EXPECT_EQ(batch.events[0].json, "{\"load_factor\":2}");
}

TEST(HubTest, ManyThreadsMayPublish) {
  Hub hub({.max_events = 100});
  std::atomic<int> told{0};
  hub.SetListener([&] { ++told; });
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) {
        hub.Publish("n", "{}");
        hub.SetState(Concat("t", t), Concat(i));
        hub.After(hub.last_event() / 2, 1000);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  hub.SetListener(nullptr);
  hub.Publish("n", "{}");
  EXPECT_EQ(told, 4 * 500 * 2);
  EXPECT_EQ(hub.last_event(), 4001u);
}

}  // namespace
}  // namespace lab::bench::live
