#include "bench/cacheapi/stored_entry.h"

#include <gtest/gtest.h>

#include <string>

namespace lab::bench::cacheapi {
namespace {

std::string Number(uint64_t number) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(number >> (8 * i) & 0xff));
  return bytes;
}

std::string Entry(uint64_t version, uint64_t fresh_until) {
  return std::string("LC\1\0", 4) + Number(version) + Number(1) + Number(fresh_until) + std::string(20, '\0');
}

TEST(StoredEntryTest, IsReadAsTheServiceWritesIt) {
  const StoredEntry entry = ReadStored(Entry(0x0102030405, 1'700'000'000'123));
  EXPECT_TRUE(entry.stored.IsValue(0x0102030405));
  EXPECT_EQ(entry.fresh_until_ms, 1'700'000'000'123);
}

TEST(StoredEntryTest, ATombstoneHasAVersion) {
  const StoredEntry entry = ReadStored(std::string("LT\1", 3) + Number(9));
  EXPECT_EQ(entry.stored.kind, Stored::Kind::kTombstone);
  EXPECT_EQ(entry.stored.version, 9u);
}

TEST(StoredEntryTest, WhatIsNeitherIsSomethingElse) {
  const std::string entry = Entry(7, 1);
  for (const std::string& none : {std::string(), entry.substr(0, 47), "LX" + entry.substr(2), std::string(60, 'x'),
                                  std::string("LT\1", 3), std::string("LT\1", 3) + Number(9) + "x"}) {
    EXPECT_EQ(ReadStored(none).stored.kind, Stored::Kind::kOther);
  }
}

}  // namespace
}  // namespace lab::bench::cacheapi
