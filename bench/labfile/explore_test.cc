#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_replace.h"
#include "bench/labfile/lab.h"

namespace lab::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const char kLab[] = R"yaml(lab: races
title: Which orders are wrong
system: {cacheapi: {}}
reference: lease
variants: {lease: {cacheapi: {fill: lease}}}
phases: {explore: 20s}
explore:
  casts: [R W evict die, R W1 W2]
  quick: [R W]
  matrix: matrix.yaml
invariants: [no-open-race]
)yaml";

absl::StatusOr<Lab> Parse(const std::string& text) {
  Catalogue catalogue;
  catalogue.knobs["cacheapi"] = {{"fill", "string", "", "", "", {}}};
  catalogue.targets = {{"cacheapi.get", {}}};
  catalogue.invariants = {"no-open-race"};
  catalogue.check_explore = [](const Lab& lab) {
    return lab.explore->casts.full.front() == "nonsense" ? std::string("no such cast") : std::string();
  };
  return ParseLab(text, "labs/races/lab.yaml", catalogue);
}

std::string ErrorOf(const std::string& from, const std::string& to) {
  return std::string(Parse(absl::StrReplaceAll(kLab, {{from, to}})).status().message());
}

TEST(ExploreTest, StandsInPlaceOfALoad) {
  const absl::StatusOr<Lab> lab = Parse(kLab);
  ASSERT_TRUE(lab.ok()) << lab.status();
  ASSERT_TRUE(lab->explore.has_value());
  EXPECT_THAT(CastsOf(*lab->explore, "lease", false), ElementsAre("R W evict die", "R W1 W2"));
  EXPECT_THAT(CastsOf(*lab->explore, "lease", true), ElementsAre("R W"));
  EXPECT_EQ(lab->explore->matrix, "matrix.yaml");
  EXPECT_TRUE(lab->load.empty());
}

TEST(ExploreTest, QuickTakesTheSameUnlessToldOtherwise) {
  const absl::StatusOr<Lab> lab = Parse(absl::StrReplaceAll(kLab, {{"  quick: [R W]\n", ""}}));
  ASSERT_TRUE(lab.ok()) << lab.status();
  EXPECT_EQ(lab->explore->casts.quick, lab->explore->casts.full);
}

TEST(ExploreTest, AVariantMayHaveItsOwn) {
  const absl::StatusOr<Lab> lab =
      Parse(absl::StrReplaceAll(kLab, {{"  matrix:", "  variants: {lease: {casts: [R1 R2 W]}}\n  matrix:"}}));
  ASSERT_TRUE(lab.ok()) << lab.status();
  EXPECT_THAT(CastsOf(*lab->explore, "lease", true), ElementsAre("R1 R2 W"));
  EXPECT_THAT(CastsOf(*lab->explore, "other", true), ElementsAre("R W"));
}

TEST(ExploreTest, SaysWhatIsWrong) {
  EXPECT_THAT(ErrorOf("casts: [R W evict die, R W1 W2]", "casts: [nonsense]"), HasSubstr("no such cast"));
  EXPECT_THAT(ErrorOf("casts: [R W evict die, R W1 W2]", "casts: []"), HasSubstr("names no cast"));
  EXPECT_THAT(ErrorOf("  matrix:", "  variants: {leese: {casts: [R W]}}\n  matrix:"), HasSubstr("leese"));
  EXPECT_THAT(ErrorOf("  matrix:", "  matrices:"), HasSubstr("matrices"));
  EXPECT_THAT(ErrorOf("{explore: 20s}", "{explore: 20s, more: 2s}"), HasSubstr("one phase"));
  EXPECT_THAT(ErrorOf("explore:\n  casts", "unexplored:\n  casts"), HasSubstr("load"));
}

}  // namespace
}  // namespace lab::bench
