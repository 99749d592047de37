// The small parts: keys, msgpack, the bound on memory.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "services/ratelimit/key.h"
#include "services/ratelimit/memory_store.h"
#include "services/ratelimit/msgpack.h"

namespace lab::ratelimit {
namespace {

std::string Key(const std::vector<Entry>& entries, std::string_view domain = "d",
                const Limit& limit = MakeLimit(Algorithm::kFixedWindow, 1, 60 * kSecondUs).value()) {
  std::string key;
  AppendKey(domain, limit, entries, key);
  return key;
}

TEST(KeyTest, IsReadable) {
  EXPECT_EQ(Key({{"tenant", "42"}, {"path", "/v1/posts"}}), "rl:{d}:f:60s:tenant=42|path=/v1/posts");
  const Limit gcra = MakeLimit(Algorithm::kGcra, 5, 1'500'000).value();
  EXPECT_EQ(Key({{"k", ""}}, "d", gcra), "rl:{d}:g:1500000us:k=");
  EXPECT_EQ(Key({{"k", "a b\n\xff"}}), "rl:{d}:f:60s:k=a%20b%0a%ff");
}

// All pairs of short descriptors over the characters that mean something: no two share a key.
TEST(KeyTest, NoTwoDescriptorsShareAKey) {
  const std::vector<std::string> pieces = {"",  "a", "=",   "|",     "%",   "{", "}",
                                           ":", "~", "a=b", "a|b=c", "%3d", "_", "a_b"};
  std::map<std::string, std::string> seen;
  const auto check = [&](const std::string& what, const std::string& key) {
    const auto [place, added] = seen.emplace(key, what);
    EXPECT_TRUE(added) << what << " and " << place->second << " are both " << key;
  };
  for (const auto& domain : {"d", "d}:f:60s:a=", "{d}"}) {
    for (const auto& a : pieces) {
      for (const auto& b : pieces) {
        check(std::string(domain) + " (" + a + "," + b + ")", Key({{a, b}}, domain));
        for (const auto& c : pieces) {
          check(std::string(domain) + " (" + a + "," + b + ")(" + c + ",x)", Key({{a, b}, {c, "x"}}, domain));
        }
      }
    }
  }
}

TEST(KeyTest, LongOnesKeepABeginningAndAHash) {
  const std::string value(1000, 'x');
  const std::string key = Key({{"k", value}});
  EXPECT_EQ(key.size(), kMaxKeyBytes);
  EXPECT_EQ(key.substr(0, 20), "rl:{d}:f:60s:k=xxxxx");
  EXPECT_NE(key, Key({{"k", value + "x"}}));
  EXPECT_NE(key, Key({{"k", value.substr(1) + "y"}}));
  EXPECT_EQ(key, Key({{"k", value}}));
  std::string two = Key({{"first", "1"}});
  AppendKey("d", MakeLimit(Algorithm::kFixedWindow, 1, 60 * kSecondUs).value(), std::vector<Entry>{{"k", value}}, two);
  EXPECT_EQ(two, Key({{"first", "1"}}) + key) << "what stands before must not count";
}

TEST(MsgpackTest, ReadsWhatItWritesAndAllOtherFormsOfNumbers) {
  NumberWriter writer;
  const std::vector<uint64_t> values = {0, 127, 128, 65'535, 65'536, 4'294'967'295, 4'294'967'296, uint64_t{1} << 52};
  for (const uint64_t value : values) writer.Add(value);
  std::vector<double> read;
  ASSERT_TRUE(ReadNumbers(writer.Finish(), read));
  EXPECT_EQ(read, std::vector<double>(values.begin(), values.end()));
  const std::string others(
      "\x99\xff\xcc\xff\xd0\x80\xd1\xff\xfe\xd2\xff\xff\xff\xfd\xd3\xff\xff\xff\xff\xff\xff\xff\xfc"
      "\xca\x3f\xc0\x00\x00\xcb\x40\x09\x21\xfb\x54\x44\x2d\x18\xcd\x01\x00",
      40);
  ASSERT_TRUE(ReadNumbers(others, read));
  EXPECT_THAT(read, testing::ElementsAre(-1, 255, -128, -2, -3, -4, 1.5, 3.141592653589793, 256));
}

TEST(MsgpackTest, RefusesWhatIsCutOrNotNumbers) {
  NumberWriter writer;
  for (uint64_t i = 0; i < 40; ++i) writer.Add(i << (i % 50));
  const std::string whole(writer.Finish());
  std::vector<double> read;
  for (size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(ReadNumbers(whole.substr(0, size), read)) << size;
  EXPECT_FALSE(ReadNumbers(whole + "x", read));
  EXPECT_FALSE(ReadNumbers("\x91\xa1x", read));
  EXPECT_FALSE(ReadNumbers("\xdd\xff\xff\xff\xff\x01", read));
  EXPECT_FALSE(ReadNumbers("OK", read));
}

// Whether one more request passes.
bool Ask(MemoryStore& store, UnixMicros now, const Limit& limit, const std::string& key) {
  Batch batch;
  batch.now = now;
  batch.AddGroup();
  batch.AddTerm(key, {&limit});
  store.Run(batch, [](const absl::Status&) {});
  TermResult result;
  return DecideRequest(batch.terms, absl::MakeSpan(batch.states), now, {&result, 1});
}

TEST(MemoryStoreTest, IsBoundedAndEvictsWhatIsWorthLeast) {
  constexpr UnixMicros kNow = 1'790'000'000 * kSecondUs;
  const Limit day = MakeLimit(Algorithm::kFixedWindow, 1, kDayUs).value();
  const Limit second = MakeLimit(Algorithm::kFixedWindow, 1, kSecondUs).value();
  MemoryStore store(100);
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(Ask(store, kNow, day, "day" + std::to_string(i)));
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(Ask(store, kNow, second, "second" + std::to_string(i)));
  EXPECT_EQ(store.keys(), 100u);
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(Ask(store, kNow + 5 * kSecondUs, day, "more" + std::to_string(i)));
  EXPECT_EQ(store.keys(), 100u);
  for (int i = 0; i < 50; ++i) EXPECT_FALSE(Ask(store, kNow + 5 * kSecondUs, day, "day" + std::to_string(i))) << i;
  EXPECT_EQ(store.evictions(), 0u) << "the seconds had gone by and were worth nothing";
  for (int i = 0; i < 10'000; ++i) Ask(store, kNow + 5 * kSecondUs, day, "flood" + std::to_string(i));
  EXPECT_LE(store.keys(), 100u);
  EXPECT_GE(store.evictions(), 9'900u);
}

TEST(MemoryStoreTest, LogsWeighWhatTheyHold) {
  const Limit limit = MakeLimit(Algorithm::kSlidingLog, 10'000, kDayUs).value();
  MemoryStore store(1'000);
  for (int i = 0; i < 20; ++i) {
    Batch batch;
    batch.now = 1'790'000'000 * kSecondUs;
    batch.AddGroup();
    batch.AddTerm("log" + std::to_string(i), {&limit, 10'000});
    store.Run(batch, [](const absl::Status&) {});
  }
  EXPECT_LE(store.keys(), 4u) << "each weighs 313 keys and more";
  EXPECT_GE(store.keys(), 1u);
}

}  // namespace
}  // namespace lab::ratelimit
