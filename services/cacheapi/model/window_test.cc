#include "services/cacheapi/model/window.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace lab::cacheapi {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(WindowTest, NamesAreReadBack) {
  std::chrono::hours last(0);
  for (const Window window : kWindows) {
    EXPECT_EQ(ParseWindow(Name(window)).value(), window);
    EXPECT_GT(Length(window), last);
    last = Length(window);
  }
  EXPECT_EQ(Length(ParseWindow("7d").value()), std::chrono::hours(168));
}

TEST(WindowTest, EverythingElseIsRefusedWithWhatIsKnown) {
  for (const char* text : {"", "24", "24H", "1d", "2h", " 1h", "1h ", "0x1h", "60m", "24h&x"}) {
    EXPECT_EQ(ParseWindow(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_EQ(ParseWindow("1d").status().message(), "window: \"1d\" is none of 1h, 6h, 24h, 7d, 30d");
  const auto long_one = ParseWindow(std::string(10'000, 'x'));
  EXPECT_LT(long_one.status().message().size(), 100u) << "a message carries no more than it must";
}

std::string Wrong(std::string_view brand) { return std::string(CheckBrand(brand).message()); }

TEST(BrandTest, TakesNamesOfAllScripts) {
  for (const std::string brand : {"a", "acme", "Acme-2_x.y", "شركة", "مقهى-١٢٣", "日本", "café", "🍕", "7"}) {
    EXPECT_TRUE(CheckBrand(brand).ok()) << brand << ": " << Wrong(brand);
  }
  EXPECT_TRUE(CheckBrand(std::string(kMostBrandBytes, 'x')).ok());
}

TEST(BrandTest, SaysWhatIsWrong) {
  EXPECT_EQ(Wrong(""), "brand: is empty");
  EXPECT_EQ(Wrong("a b"), "brand: \"a b\" has U+0020 at byte 2; allowed are letters, digits, '.', '_' and '-'");
  EXPECT_THAT(Wrong("x\xff"), HasSubstr("is not UTF-8 from byte 2 on"));
  EXPECT_THAT(Wrong(std::string(65, 'x')), HasSubstr("has 65 bytes, at most 64"));
  EXPECT_THAT(Wrong(std::string("a\0b", 3)), HasSubstr("U+0000 at byte 2"));
}

TEST(BrandTest, RefusesWhatWouldForgeAKeyOrCannotBeSeen) {
  for (const char c : std::string("{}:=#/%?&*\"'\\|<>~`!@$^()+,;[] \t\r\n\x7f")) {
    EXPECT_NE(Wrong(std::string("a") + c), "") << c;
  }
  for (const std::string brand :
       {"a\xc2\xa0", "a\xc2\x85", "a\xc2\xad", "a\xe2\x80\x8b", "a\xe2\x80\x8f", "a\xe2\x80\xae", "a\xe2\x80\xa8",
        "a\xe3\x80\x80", "a\xef\xbb\xbf", "a\xef\xbf\xbe", "a\xee\x80\x80", "a\xf3\xa0\x81\x81", "a\xf0\x9f\xbf\xbf",
        "a\xe2\x81\xa6", "a\xd8\x9c"}) {
    EXPECT_THAT(Wrong(brand), HasSubstr("at byte 2")) << brand;
  }
  for (const std::string brand : {"\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "\xe2\x80"}) {
    EXPECT_THAT(Wrong(brand), HasSubstr("is not UTF-8")) << "overlong, surrogate, beyond, or cut";
  }
}

TEST(CacheKeyTest, IsReadableAndTagged) {
  EXPECT_EQ(CacheKey("acme", Window::kDay), "insights:{acme}:w=24h");
  EXPECT_THAT(CacheKeys("شركة"), ElementsAre("insights:{شركة}:w=1h", "insights:{شركة}:w=6h", "insights:{شركة}:w=24h",
                                             "insights:{شركة}:w=7d", "insights:{شركة}:w=30d"));
}

TEST(CacheKeyTest, NoTwoShareAKey) {
  std::set<std::string> keys;
  for (const char* brand : {"a", "b", "ab", "a.b", "w-24h", "A"}) {
    for (const std::string& key : CacheKeys(brand)) EXPECT_TRUE(keys.insert(key).second) << key;
  }
}

}  // namespace
}  // namespace lab::cacheapi
