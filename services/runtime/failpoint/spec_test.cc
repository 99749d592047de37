#include "services/runtime/failpoint/spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lab::failpoint {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const Point kBefore("spec_test.before", "spec_test", Side::kBefore, "a test would act");
const Point kAfter("spec_test.after", "spec_test", Side::kAfter, "a test has acted");

std::string ErrorOf(const Point& point, std::string_view text) {
  return std::string(ParseSpecText(point, text).status().message());
}

TEST(SpecTest, TextIsReadAndWrittenBack) {
  for (const char* text : {"crash", "error share=0.25 times=3", "delay delay=20ms every=7 operation=GET for=2s"}) {
    const absl::StatusOr<Spec> spec = ParseSpecText(kBefore, text);
    ASSERT_TRUE(spec.ok()) << spec.status();
    EXPECT_EQ(SpecText(*spec), text);
  }
  const Spec spec = *ParseSpecText(kAfter, "  for=1500ms   apply-then-timeout ");
  EXPECT_EQ(spec.action, Action::kApplyThenTimeout);
  EXPECT_EQ(spec.lasts, Millis(1500));
  EXPECT_EQ(spec.share, 1);
  EXPECT_EQ(spec.every, 1);
  EXPECT_EQ(spec.times, 0);
}

TEST(SpecTest, EverythingWrongIsToldAtOnce) {
  EXPECT_THAT(ErrorOf(kBefore, "eror shaer=1 times=-1 for=soon"),
              AllOf(HasSubstr("did you mean \"error\"?"), HasSubstr("did you mean \"share\"?"),
                    HasSubstr("times must be a whole number"), HasSubstr("for: ")));
  EXPECT_THAT(ErrorOf(kBefore, "error share=0"), HasSubstr("above 0 and at most 1"));
  EXPECT_THAT(ErrorOf(kBefore, "error share=nan"), HasSubstr("above 0 and at most 1"));
  EXPECT_THAT(ErrorOf(kBefore, "error every=0"), HasSubstr("1 …"));
  EXPECT_THAT(ErrorOf(kBefore, "error for=2h"), HasSubstr("at most 1h"));
  EXPECT_THAT(ErrorOf(kBefore, "error times=1 times=2"), HasSubstr("times is given twice"));
  EXPECT_THAT(ErrorOf(kBefore, "error crash"), HasSubstr("action is given twice"));
  EXPECT_THAT(ErrorOf(kBefore, "share=0.5"), HasSubstr("action=error"));
  EXPECT_THAT(ErrorOf(kBefore, "delay"), HasSubstr("needs its time"));
  EXPECT_THAT(ErrorOf(kBefore, "error delay=20ms"), HasSubstr("goes with the action delay only"));
}

TEST(SpecTest, APointTakesOnlyWhatItsSideCanDo) {
  EXPECT_THAT(ErrorOf(kBefore, "apply-then-timeout"), HasSubstr("arm it after the effect"));
  EXPECT_THAT(ErrorOf(kAfter, "error"), HasSubstr("arm it before the effect"));
  EXPECT_EQ(ErrorOf(kAfter, "crash"), "");
}

TEST(PointTest, AreListedByNameAndFound) {
  EXPECT_EQ(*FindPoint("spec_test.after"), &kAfter);
  EXPECT_THAT(std::string(FindPoint("spec_test.befor").status().message()),
              HasSubstr("did you mean \"spec_test.before\"?"));
  const auto& all = AllPoints();
  for (size_t i = 1; i < all.size(); ++i) EXPECT_LT(all[i - 1]->name(), all[i]->name()) << "sorted, each name once";
}

}  // namespace
}  // namespace lab::failpoint
