#include "services/cacheapi/shared/entry.h"

#include <gtest/gtest.h>

#include <string>

#include "services/runtime/base/crc32c.h"

namespace lab::cacheapi {
namespace {

constexpr std::string_view kKey = "insights:{acme}:w=24h";

Entry Sample() {
  Entry entry;
  entry.version = 0x0001020304050607;
  entry.written_at = 1'790'000'000'123;
  entry.fresh_until = entry.written_at + 30'000;
  entry.stale_until = entry.written_at + 300'000;
  entry.delta = Micros(20'500);
  entry.key = kKey;
  entry.body = R"({"posts":17})";
  return entry;
}

// With the checksum set right.
std::string Sealed(std::string bytes) {
  const uint32_t crc = Crc32c(std::string_view(bytes).substr(0, bytes.size() - 4));
  for (size_t i = 0; i < 4; ++i) bytes[bytes.size() - 4 + i] = static_cast<char>(crc >> (8 * i));
  return bytes;
}

EntryError Decode(std::string_view bytes, std::string_view key = kKey) {
  Entry entry;
  entry.version = 77;
  const EntryError error = DecodeEntry(bytes, key, entry);
  if (error != EntryError::kNone) {
    EXPECT_EQ(entry.version, 77u) << "written on success only";
  }
  return error;
}

TEST(EntryTest, IsReadBack) {
  const Entry entry = Sample();
  const std::string bytes = EncodeEntry(entry);
  Entry read;
  ASSERT_EQ(DecodeEntry(bytes, kKey, read), EntryError::kNone);
  EXPECT_EQ(read.version, entry.version);
  EXPECT_EQ(read.written_at, entry.written_at);
  EXPECT_EQ(read.fresh_until, entry.fresh_until);
  EXPECT_EQ(read.stale_until, entry.stale_until);
  EXPECT_EQ(read.delta, entry.delta);
  EXPECT_EQ(read.kind, Entry::Kind::kValue);
  EXPECT_EQ(read.key, kKey);
  EXPECT_EQ(read.body, entry.body);
}

TEST(EntryTest, NegativeOnesAreReadBack) {
  Entry entry = Sample();
  entry.kind = Entry::Kind::kNegative;
  entry.body = "";
  entry.version = 0;
  const std::string bytes = EncodeEntry(entry);
  EXPECT_EQ(bytes.size(), kEntryHeaderBytes + kKey.size() + 4);
  Entry read;
  ASSERT_EQ(DecodeEntry(bytes, kKey, read), EntryError::kNone);
  EXPECT_EQ(read.kind, Entry::Kind::kNegative);
}

// Other replicas, and scripts in Redis, read it: its form must not change without a new number.
TEST(EntryTest, TheFormIsFixed) {
  const std::string bytes = EncodeEntry(Sample());
  EXPECT_EQ(bytes.substr(0, 4), std::string("LC\x01\x00", 4));
  EXPECT_EQ(bytes.substr(kEntryVersionAt, 8), std::string("\x07\x06\x05\x04\x03\x02\x01\x00", 8));
  EXPECT_EQ(bytes.substr(36, 4), std::string("\x14\x50\x00\x00", 4)) << "20,500 us";
  EXPECT_EQ(bytes.substr(48, kKey.size()), kKey);
  EXPECT_EQ(bytes.size(), 48 + kKey.size() + 12 + 4);
}

TEST(EntryTest, EveryPrefixIsTruncated) {
  const std::string bytes = EncodeEntry(Sample());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(Decode(std::string_view(bytes).substr(0, size)), EntryError::kTruncated) << size;
  }
  EXPECT_EQ(Decode(bytes + "x"), EntryError::kTruncated);
}

TEST(EntryTest, EveryFlippedBitIsSeen) {
  std::string bytes = EncodeEntry(Sample());
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    EXPECT_NE(Decode(bytes), EntryError::kNone) << "bit " << bit;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
  }
  EXPECT_EQ(Decode(bytes), EntryError::kNone);
}

// A write that was torn: the beginning of one entry and the end of another of the same size.
TEST(EntryTest, TornWritesAreSeen) {
  Entry other = Sample();
  other.version += 1;
  other.body = R"({"posts":18})";
  const std::string one = EncodeEntry(Sample()), two = EncodeEntry(other);
  for (size_t at = 5; at < one.size(); ++at) {
    EXPECT_EQ(Decode(one.substr(0, at) + two.substr(at)), EntryError::kCorrupt) << at;
  }
}

TEST(EntryTest, WhatOthersWroteIsForeign) {
  EXPECT_EQ(Decode("placeholder-of-another-program"), EntryError::kForeign);
  EXPECT_EQ(Decode("x"), EntryError::kForeign);
  std::string next = EncodeEntry(Sample());
  next[2] = 2;
  EXPECT_EQ(Decode(Sealed(next)), EntryError::kForeign) << "the next version of the form";
}

TEST(EntryTest, AValueUnderAnotherKeyIsSeen) {
  const std::string bytes = EncodeEntry(Sample());
  EXPECT_EQ(Decode(bytes, "insights:{acme}:w=7d"), EntryError::kWrongKey);
  EXPECT_EQ(Decode(bytes, ""), EntryError::kWrongKey);
}

TEST(EntryTest, WhatIsOutOfBoundsIsInvalidThoughItIsWhole) {
  const auto invalid = [](auto change) {
    Entry entry = Sample();
    change(entry);
    const std::string bytes = EncodeEntry(entry);
    return Decode(bytes, entry.key) == EntryError::kInvalid;
  };
  const std::string long_key(kMostKeyBytes + 1, 'k'), long_body(kMostBodyBytes + 1, 'b');
  EXPECT_TRUE(invalid([](Entry& entry) { entry.version = kMostVersion + 1; }));
  EXPECT_TRUE(invalid([](Entry& entry) { entry.written_at = -1; }));
  EXPECT_TRUE(invalid([](Entry& entry) { entry.fresh_until = entry.written_at - 1; }));
  EXPECT_TRUE(invalid([](Entry& entry) { entry.stale_until = entry.fresh_until - 1; }));
  EXPECT_TRUE(invalid([](Entry& entry) { entry.stale_until = kMostTime + 1; }));
  EXPECT_FALSE(invalid([](Entry& entry) { entry.stale_until = kMostTime; }));
  EXPECT_TRUE(invalid([](Entry& entry) { entry.kind = Entry::Kind::kNegative; })) << "with a body";
  EXPECT_TRUE(invalid([&](Entry& entry) { entry.key = long_key; }));
  EXPECT_TRUE(invalid([&](Entry& entry) { entry.body = long_body; }));
  EXPECT_FALSE(invalid([](Entry& entry) { entry.version = kMostVersion; }));
  std::string kind = EncodeEntry(Sample());
  kind[3] = 2;
  EXPECT_EQ(Decode(Sealed(kind)), EntryError::kInvalid);
}

TEST(EntryTest, SizesThatOverflowAreTruncated) {
  std::string bytes = EncodeEntry(Sample());
  for (size_t at = 40; at < 48; ++at) bytes[at] = '\xff';
  EXPECT_EQ(Decode(Sealed(bytes)), EntryError::kTruncated);
}

TEST(EntryTest, AnImpossibleDeltaIsHeldWithinItsField) {
  Entry entry = Sample(), read;
  entry.delta = std::chrono::hours(10);
  const std::string slow = EncodeEntry(entry);
  ASSERT_EQ(DecodeEntry(slow, kKey, read), EntryError::kNone);
  EXPECT_EQ(read.delta, Micros(4'294'967'295));
  entry.delta = Micros(-1);
  const std::string negative = EncodeEntry(entry);
  ASSERT_EQ(DecodeEntry(negative, kKey, read), EntryError::kNone);
  EXPECT_EQ(read.delta, Micros(0));
}

TEST(EntryTest, AgesFromFreshToOver) {
  const Entry entry = Sample();
  EXPECT_EQ(FreshnessOf(entry, entry.written_at), Freshness::kFresh);
  EXPECT_EQ(FreshnessOf(entry, entry.fresh_until - 1), Freshness::kFresh);
  EXPECT_EQ(FreshnessOf(entry, entry.fresh_until), Freshness::kStale);
  EXPECT_EQ(FreshnessOf(entry, entry.stale_until - 1), Freshness::kStale);
  EXPECT_EQ(FreshnessOf(entry, entry.stale_until), Freshness::kOver);
  EXPECT_EQ(FreshnessOf(entry, entry.written_at - 1), Freshness::kFresh) << "the writer's clock is ahead";
  EXPECT_EQ(FreshnessOf(entry, entry.written_at - 100), Freshness::kFresh);
  EXPECT_EQ(FreshnessOf(entry, entry.written_at - 101), Freshness::kStale) << "the clock has gone back";
}

TEST(EntryTest, ErrorsHaveNames) {
  EXPECT_EQ(Name(EntryError::kForeign), "foreign");
  EXPECT_EQ(Name(EntryError::kWrongKey), "wrong_key");
}

}  // namespace
}  // namespace lab::cacheapi
