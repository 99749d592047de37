#include <gtest/gtest.h>

#include "bench/explore/gate.h"

namespace lab::bench::explore {
namespace {

TEST(GateViewTest, SaysWhoIsHeldWhere) {
  const absl::StatusOr<GateView> view = ParseGateView(
      R"({"quiet":false,"held":[{"actor":"R1","step":"get"},{"actor":"push","step":"publish"},
          {"actor":"push","step":"publish"}],"present":[{"actor":"R1","waits":true,"answered":false}]})");
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_FALSE(view->quiet);
  EXPECT_EQ(view->StepOf("R1"), "get");
  EXPECT_EQ(view->StepOf("R2"), "");
  EXPECT_EQ(view->Count("push", "publish"), 2u);
  EXPECT_TRUE(view->present.at("R1").waits);
}

TEST(GateViewTest, WhatIsNoneIsAnError) {
  for (const char* bad : {"", "[]", "{}", R"({"held":[],"present":3})", R"({"held":["R1"],"present":[]})",
                          R"({"held":[],"present":[null]})"}) {
    EXPECT_EQ(ParseGateView(bad).status().code(), absl::StatusCode::kDataLoss) << bad;
  }
  const absl::StatusOr<GateView> odd = ParseGateView(R"({"quiet":1,"held":[{"actor":2}],"present":[{"waits":"x"}]})");
  ASSERT_TRUE(odd.ok()) << odd.status();
  EXPECT_FALSE(odd->quiet);
}

}  // namespace
}  // namespace lab::bench::explore
