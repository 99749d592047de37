#include "services/runtime/base/strict_yaml.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/runtime/base/text.h"

namespace lab::yaml {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Errors(const Document& document) { return std::string(document.status().message()); }

std::string ErrorsOf(std::string text) {
  const Document document(std::move(text), "f.yaml");
  return Errors(document);
}

std::string Repeat(std::string_view text, size_t times) {
  std::string repeated;
  for (size_t i = 0; i < times; ++i) repeated += text;
  return repeated;
}

TEST(StrictYamlTest, ReadsEveryType) {
  Document document(R"(
name: "limiter"
port: 8080
ratio: 0.5
on: true
deadline: 5ms
mode: local
list: [a, b]
free: {x: 1, y: 2}
empty:
block: |
  one
  two
)",
                    "f.yaml");
  const Value root = document.root();
  EXPECT_EQ(root.Required("name").String(), "limiter");
  EXPECT_EQ(root.Required("port").Int(1, 65535, 0), 8080);
  EXPECT_EQ(root.Required("ratio").Number(0, 1, 0), 0.5);
  EXPECT_TRUE(root.Required("on").Bool(false));
  EXPECT_EQ(root.Required("deadline").Duration(Nanos(0), std::chrono::seconds(1), Nanos(0)), Millis(5));
  EXPECT_EQ(root.Required("mode").OneOf({"allow", "deny", "local"}, 0), 2u);
  const std::vector<Value> list = root.Required("list").List();
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[1].String(), "b");
  EXPECT_EQ(list[1].path(), "list[1]");
  const auto entries = root.Required("free").Entries();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[1].first, "y");
  EXPECT_EQ(entries[1].second.path(), "free.y");
  EXPECT_EQ(entries[1].second.line(), 9);
  EXPECT_TRUE(root.Required("empty").is_null());
  EXPECT_TRUE(root.Required("empty").Entries().empty());
  EXPECT_TRUE(root.Required("empty").List().empty());
  EXPECT_EQ(root.Required("block").raw(), "one\ntwo\n");
  EXPECT_EQ(root.Optional("absent").Int(1, 5, 3), 3);
  EXPECT_FALSE(root.Optional("absent").defined());
  root.Finish();
  EXPECT_TRUE(document.ok()) << Errors(document);
}

TEST(StrictYamlTest, ReportsAllErrorsInLineOrder) {
  Document document(R"(redis:
  dedline: 5ms
  port: 70000
  port: 1
ratio: "0.5"
mode: lokal
deadline: 5
flag: yes
wait: 2h
)",
                    "f.yaml");
  const Value root = document.root();
  // Asked in another order than the file's.
  EXPECT_EQ(root.Optional("mode").OneOf({"allow", "deny", "local"}, 1), 1u);
  EXPECT_EQ(root.Optional("flag").Bool(true), true);
  EXPECT_EQ(root.Optional("deadline").Duration(Nanos(0), Millis(100), Millis(7)), Millis(7));
  EXPECT_EQ(root.Optional("wait").Duration(Nanos(0), std::chrono::hours(1), Millis(7)), Millis(7));
  EXPECT_EQ(root.Optional("ratio").Number(0, 1, 0.25), 0.25);
  root.Required("host");
  const Value redis = root.Optional("redis");
  EXPECT_EQ(redis.Optional("port").Int(1, 65535, 6379), 6379);
  redis.Optional("deadline");
  redis.Finish();
  root.Finish();
  EXPECT_EQ(Errors(document),
            "f.yaml:1: \"host\" is missing\n"
            "f.yaml:2: redis: unknown key \"dedline\"; did you mean \"deadline\"?\n"
            "f.yaml:3: redis.port: must be a whole number in 1 … 65535, not \"70000\"\n"
            "f.yaml:4: \"port\" is there twice, first in line 3\n"
            "f.yaml:5: ratio: must be a number in 0 … 1, not the quoted text \"0.5\"\n"
            "f.yaml:6: mode: must be one of allow, deny, local, not \"lokal\"; did you mean \"local\"?\n"
            "f.yaml:7: deadline: must be a number and a unit (us, ms, s, m, h), not \"5\"\n"
            "f.yaml:8: flag: must be true or false, not \"yes\"\n"
            "f.yaml:9: wait: must be a duration in 0s … 1h, not \"2h\"");
  EXPECT_EQ(document.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(StrictYamlTest, WrongShapesAreErrors) {
  Document document("a: 1\nb: [1]\nc: {}\nd:\n", "f.yaml");
  const Value root = document.root();
  EXPECT_TRUE(root.Optional("a").List().empty());
  EXPECT_TRUE(root.Optional("a").Entries().empty());
  EXPECT_EQ(root.Optional("b").String("x"), "x");
  EXPECT_EQ(root.Optional("c").Int(0, 1, 1), 1);
  EXPECT_EQ(root.Optional("d").String("y"), "y");
  root.Optional("b").Finish();
  EXPECT_EQ(Errors(document),
            "f.yaml:1: a: must be a list, not \"1\"\n"
            "f.yaml:1: a: must be a map, not \"1\"\n"
            "f.yaml:2: b: must be a map, not a list\n"
            "f.yaml:2: b: must be text, not a list\n"
            "f.yaml:3: c: must be a whole number in 0 … 1, not a map\n"
            "f.yaml:4: d: must be text, not empty");
}

TEST(StrictYamlTest, TheSameErrorTwiceIsOne) {
  Document document("a: x\n", "f.yaml");
  document.root().Optional("a").Int(0, 1, 0);
  document.root().Optional("a").Int(0, 1, 0);
  EXPECT_EQ(Errors(document), "f.yaml:1: a: must be a whole number in 0 … 1, not \"x\"");
}

TEST(StrictYamlTest, KeepsAHundredErrors) {
  Document document(Concat("list: [", Repeat("x, ", 500), "]"), "f.yaml");
  for (const Value& item : document.root().Optional("list").List()) item.Int(0, 1, 0);
  EXPECT_THAT(Errors(document), HasSubstr("f.yaml: and 400 more errors"));
}

TEST(StrictYamlTest, AnEmptyFileIsAnEmptyMap) {
  for (const char* text : {"", "\n\n", "# only a comment\n", "---\n", "~"}) {
    Document document(text, "f.yaml");
    EXPECT_TRUE(document.root().is_null()) << text;
    EXPECT_EQ(document.root().Optional("a").Int(0, 9, 4), 4);
    document.root().Finish();
    EXPECT_TRUE(document.ok()) << text << Errors(document);
  }
  Document document("", "f.yaml");
  document.root().Required("lab");
  EXPECT_EQ(Errors(document), "f.yaml:1: \"lab\" is missing");
}

TEST(StrictYamlTest, UnreadableTextIsOneErrorWithItsLine) {
  EXPECT_THAT(ErrorsOf("a: 1\nb: [1, 2\nc: 3\n"), HasSubstr("f.yaml:"));
  EXPECT_THAT(ErrorsOf("a: 1\n\tb: 2\n"), HasSubstr("f.yaml:"));
  EXPECT_THAT(ErrorsOf("a: 1\nb: \xff\xfe\n"), HasSubstr("f.yaml:2: not UTF-8 text"));
  EXPECT_THAT(ErrorsOf("a: \xc0\x80\n"), HasSubstr("not UTF-8"));      // overlong
  EXPECT_THAT(ErrorsOf("a: \xed\xa0\x80\n"), HasSubstr("not UTF-8"));  // a surrogate
  EXPECT_THAT(ErrorsOf("a: \xe2\x82"), HasSubstr("not UTF-8"));        // cut off
  EXPECT_THAT(ErrorsOf(std::string("a\0: 1\n", 6)), HasSubstr("f.yaml:1: a control character (0)"));
  EXPECT_THAT(ErrorsOf("a: 1\n---\nb: 2\n"), HasSubstr("second document"));
  EXPECT_THAT(ErrorsOf("[1]: 2\n"), HasSubstr("a key must be text"));
  EXPECT_THAT(ErrorsOf("? {a: 1}\n: 2\n"), HasSubstr("a key must be text"));
  EXPECT_THAT(ErrorsOf("a: *b\n"), HasSubstr("f.yaml:1"));
  EXPECT_THAT(ErrorsOf("a: &x [*x]\n"), HasSubstr("not complete before it"));
  EXPECT_THAT(ErrorsOf("&x a: 1\n*x : 2\n"), HasSubstr("alias"));
  EXPECT_EQ(ErrorsOf("a: \xf0\x9f\x98\x80 \xd8\xb3\n"), "");  // beyond the BMP, and Arabic
  EXPECT_EQ(ErrorsOf("\xef\xbb\xbf"
                     "a: 1\n"),
            "");  // a byte order mark
  EXPECT_EQ(ErrorsOf("a: 1\r\nb: 2\r\n"), "");
  const Document document("a: [", "f.yaml");
  EXPECT_FALSE(document.root().defined());
  document.root().Required("x");  // no follow-up errors of a file that could not be read
  document.root().Finish();
  EXPECT_THAT(Errors(document), Not(HasSubstr("missing")));
}

TEST(StrictYamlTest, AliasesAreSharedAndCounted) {
  Document document("base: &b {x: 1}\nuse: *b\n", "f.yaml");
  EXPECT_EQ(document.root().Optional("use").Optional("x").Int(0, 9, 0), 1);
  EXPECT_EQ(document.root().Optional("use").Optional("x").path(), "use.x");

  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";  // a billion laughs
  std::string tower = "a0: &a0 [x]\n";                            // deep through aliases only
  for (int i = 1; i < 70; ++i) {
    const std::string below = Concat("*a", i - 1);
    bomb += Concat("a", i, ": &a", i, " [", below, Repeat(Concat(", ", below), 9), "]\n");
    tower += Concat("a", i, ": &a", i, " [", below, "]\n");
  }
  EXPECT_THAT(ErrorsOf(bomb), HasSubstr("more than 100000 nodes once aliases are expanded"));
  EXPECT_THAT(ErrorsOf(tower), HasSubstr("nested deeper than 64 levels"));
}

TEST(StrictYamlTest, BoundsHold) {
  EXPECT_EQ(ErrorsOf(Repeat("[", 64) + Repeat("]", 64)), "");
  EXPECT_THAT(ErrorsOf(Repeat("[", 65) + Repeat("]", 65)), HasSubstr("nested deeper than 64"));
  EXPECT_THAT(ErrorsOf("a: " + std::string(1 << 20, 'x')), HasSubstr("larger than 1048576 bytes"));
  EXPECT_EQ(ErrorsOf("a: " + std::string((1 << 20) - 8, 'x')), "");
  EXPECT_THAT(ErrorsOf(Concat("[", Repeat("1,", 100'001), "]")), HasSubstr("more than 100000 nodes"));
}

// Whatever a megabyte repeats, it ends, and with an error or a value.
TEST(StrictYamlTest, HostileTextsEnd) {
  for (const std::string_view unit :
       {"[",    "{",      "{a: ", "- ",   "? ",       ": ",        "&a ",   "*a ",         "!x ",   "!<",
        "\"",   "'",      "|\n",  "a: ",  "a:\n ",    "- - ",      "-\n",   "%YAML 1.2\n", "---\n", "...\n",
        "<<: ", "#",      "\\",   ",",    "[]",       "{}, ",      "\n",    " ",           "@",     "`",
        "a\n",  "!!map ", "[[{",  "? - ", "&a [*a, ", "\"\\u0000", "a: b: "}) {
    const std::string text = Repeat(unit, (size_t{1} << 18) / unit.size());
    const Document document(text, "f.yaml");
    document.root().Finish();
    EXPECT_TRUE(document.ok() || !Errors(document).empty());
  }
}

TEST(StrictYamlTest, MessagesStayShortAndPrintable) {
  Document document(Concat("a: \"", Repeat("\xd8\xb3", 500), "\"\nb: \"x\\u0007\\n\"\n"), "f.yaml");
  document.root().Optional("a").Int(0, 1, 0);
  document.root().Optional("b").Int(0, 1, 0);
  const std::string errors = Errors(document);
  EXPECT_LT(errors.size(), 400u);
  EXPECT_THAT(errors, HasSubstr("\\007\\n"));
}

}  // namespace
}  // namespace lab::yaml
