#include "services/runtime/failpoint/controller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/steady_timer.hpp>

namespace lab::failpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Point kBefore("controller_test.before", "controller_test", Side::kBefore, "a test would act");
const Point kAfter("controller_test.after", "controller_test", Side::kAfter, "a test has acted");

class ControllerTest : public ::testing::Test {
 protected:
  void Arm(const Point& point, std::string_view text) {
    const absl::StatusOr<Spec> spec = ParseSpecText(point, text);
    ASSERT_TRUE(spec.ok()) << spec.status();
    controller_.Arm(point, *spec);
  }
  // Which of `count` operations are hit.
  std::vector<int> Hits(int count, std::string_view operation = "GET") {
    std::vector<int> hit;
    for (int i = 0; i < count; ++i) {
      if (controller_.Hit(kBefore, operation).action != Action::kNone) hit.push_back(i);
    }
    return hit;
  }
  void RunUntil(const std::function<bool()>& done) {
    const auto give_up = Clock::now() + std::chrono::seconds(10);
    boost::asio::steady_timer tick(loop_.io());
    std::function<void(const boost::system::error_code&)> look = [&](const boost::system::error_code&) {
      if (done() || Clock::now() > give_up) return loop_.Stop();
      tick.expires_after(Millis(1));
      tick.async_wait(look);
    };
    look({});
    loop_.Run();
    EXPECT_TRUE(done());
  }

  async::Loop loop_;
  obs::Metrics metrics_;
  Controller controller_{loop_, metrics_, 7};
};

TEST_F(ControllerTest, NothingHappensUnlessArmed) {
  EXPECT_TRUE(Hits(100).empty());
  Arm(kAfter, "crash");
  EXPECT_TRUE(Hits(100).empty()) << "another point";
  controller_.Disarm(kAfter);
  controller_.Disarm(kAfter);
  EXPECT_FALSE(controller_.armed(kAfter));
}

TEST_F(ControllerTest, SaysWhatToDo) {
  Arm(kBefore, "delay delay=30ms");
  const Decision decision = controller_.Hit(kBefore, "");
  EXPECT_EQ(decision.action, Action::kDelay);
  EXPECT_EQ(decision.delay, Millis(30));
}

TEST_F(ControllerTest, TimesDisarmsAndEveryCounts) {
  Arm(kBefore, "error times=2");
  EXPECT_THAT(Hits(10), ElementsAre(0, 1));
  EXPECT_FALSE(controller_.armed(kBefore));
  Arm(kBefore, "error every=3 times=2");
  EXPECT_THAT(Hits(10), ElementsAre(2, 5)) << "counts begin anew";
}

TEST_F(ControllerTest, OnlyTheOperationThatIsMeant) {
  Arm(kBefore, "error operation=SET every=2");
  EXPECT_TRUE(Hits(10, "GET").empty());
  EXPECT_THAT(Hits(4, "SET"), ElementsAre(1, 3)) << "others are not counted";
}

TEST_F(ControllerTest, ShareIsAChoiceOfTheSeed) {
  constexpr int kCount = 10'000;
  Arm(kBefore, "error share=0.1");
  const std::vector<int> hit = Hits(kCount);
  EXPECT_NEAR(static_cast<double>(hit.size()), 1000, 150);  // five standard deviations
  obs::Metrics metrics;
  Controller same(loop_, metrics, 7), other(loop_, metrics, 8);
  std::vector<int> again, differently;
  for (Controller* controller : {&same, &other}) {
    controller->Arm(kBefore, *ParseSpecText(kBefore, "error share=0.1"));
    for (int i = 0; i < kCount; ++i) {
      if (controller->Hit(kBefore, "").action != Action::kNone)
        (controller == &same ? again : differently).push_back(i);
    }
  }
  EXPECT_EQ(again, hit);
  EXPECT_NE(differently, hit);
}

TEST_F(ControllerTest, DisarmsItselfWhenItsTimeIsOver) {
  Arm(kBefore, "error for=20ms");
  EXPECT_FALSE(Hits(1).empty());
  RunUntil([this] { return !controller_.armed(kBefore); });
  EXPECT_TRUE(Hits(1).empty());
}

TEST_F(ControllerTest, AnEarlierTimeDoesNotEndALaterArming) {
  Arm(kBefore, "error for=10ms");
  controller_.Disarm(kBefore);
  Arm(kBefore, "error");
  Arm(kAfter, "crash for=30ms");
  RunUntil([this] { return !controller_.armed(kAfter); });
  EXPECT_TRUE(controller_.armed(kBefore));
}

TEST_F(ControllerTest, CountsAndTellsItsState) {
  EXPECT_THAT(controller_.StateJson(kBefore), HasSubstr("\"armed\":null,\"hits\":0}"));
  Arm(kBefore, "error share=1 times=9");
  Hits(3);
  EXPECT_THAT(controller_.StateJson(kBefore), HasSubstr("\"armed\":\"error times=9\",\"hits\":3}"));
  EXPECT_THAT(metrics_.Text(), HasSubstr("failpoint_armed{point=\"controller_test.before\"} 1"));
  controller_.Disarm(kBefore);
  Arm(kBefore, "delay delay=1ms");
  Hits(2);
  EXPECT_THAT(controller_.StateJson(kBefore), HasSubstr("\"hits\":5}")) << "of all armings";
  EXPECT_THAT(metrics_.Text(), HasSubstr("failpoint_hits_total{action=\"error\",point=\"controller_test.before\"} 3"));
}

TEST_F(ControllerTest, ACrashEndsTheProcessAtOnce) {
  EXPECT_EXIT(
      {
        std::atexit([] { std::fputs("flushed", stderr); });
        Arm(kBefore, "crash");
        controller_.Hit(kBefore, "GET");
      },
      ::testing::ExitedWithCode(kCrashStatus), "failpoint_crash[^\n]*controller_test.before[^\n]*\n$");
}

}  // namespace
}  // namespace lab::failpoint
