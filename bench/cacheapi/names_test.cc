#include "bench/cacheapi/names.h"

#include <gtest/gtest.h>

#include <limits>

namespace lab::bench::cacheapi {
namespace {

TEST(CacheApiNamesTest, BrandsOfKeysAndBack) {
  for (const uint32_t key : {0u, 7u, 12'345u, std::numeric_limits<uint32_t>::max()}) {
    EXPECT_EQ(KeyOf(BrandOf(key)), key);
  }
  for (const char* other : {"", "brand-", "brand-x", "brand-+7", "brand- 7", "brand-7x", "brand-99999999999", "x1-7"}) {
    EXPECT_FALSE(KeyOf(other).has_value()) << other;
  }
}

TEST(CacheApiNamesTest, AnEntryIsTakenApart) {
  const auto name = ParseStoredName(EntryKey("brand-7", "24h"));
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->kind, StoredName::Kind::kEntry);
  EXPECT_EQ(name->brand, "brand-7");
  EXPECT_EQ(name->window, "24h");
  EXPECT_FALSE(name->copy.has_value());
  EXPECT_FALSE(name->version.has_value());
}

TEST(CacheApiNamesTest, CopiesAndVersionsAreSeen) {
  const auto copy = ParseStoredName("insights:{brand-7#3}:w=1h");
  ASSERT_TRUE(copy.has_value());
  EXPECT_EQ(copy->brand, "brand-7");
  EXPECT_EQ(copy->copy, 3u);
  const auto versioned = ParseStoredName("insights:{brand-7#0}:w=30d:v=12");
  ASSERT_TRUE(versioned.has_value());
  EXPECT_EQ(versioned->window, "30d");
  EXPECT_EQ(versioned->copy, 0u);
  EXPECT_EQ(versioned->version, 12u);
  const auto version = ParseStoredName("version:{brand-7}");
  ASSERT_TRUE(version.has_value());
  EXPECT_EQ(version->kind, StoredName::Kind::kVersion);
  EXPECT_EQ(version->brand, "brand-7");
}

TEST(CacheApiNamesTest, WhatIsSomethingElseIsNotTaken) {
  for (const char* key : {"", "lab:canary", "lease:insights:{brand-7}:w=24h", "lease:version:{brand-7}",
                          "insights:brand-7", "insights:{brand-7#}:w=24h", "insights:{brand-7}:w=24h:v=",
                          "insights:{brand-7}:w=24h:v=x", "version:{brand-7", "version:{", "cacheapi:writes"}) {
    EXPECT_FALSE(ParseStoredName(key).has_value()) << key;
  }
}

}  // namespace
}  // namespace lab::bench::cacheapi
