#include "services/cacheapi/edge/gate_api.h"

#include <thread>

#include "services/runtime/http/server_fixture.h"

namespace lab::cacheapi {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class GateApiTest : public http::ServerTest {
 protected:
  void SetUp() override {
    Start();
    OnLoop([this] {
      gate_ = std::make_unique<StepGate>();
      api_ = std::make_unique<GateApi>(*gate_, loop_);
      api_->Register(*server_);
    });
  }
  void TearDown() override {
    OnLoop([this] {
      present_ = {};
      api_.reset();
      gate_.reset();
    });
  }
  std::string Call(const std::string& method, const std::string& path) {
    return Ask(Concat(method, " ", path, " HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"));
  }
  void Hold(Step step) {
    OnLoop([this, step] {
      present_ = StepGate::Presence(gate_.get(), "R1");
      gate_->Arrive("R1", step, [this] { ++went_; });
    });
  }

  std::unique_ptr<StepGate> gate_;
  std::unique_ptr<GateApi> api_;
  StepGate::Presence present_;  // on the loop's thread
  int went_ = 0;
};

TEST_F(GateApiTest, SaysWhoIsHeldWhere) {
  EXPECT_THAT(Call("GET", "/gate"), HasSubstr(R"({"quiet":true,"held":[],"present":[]})"));
  Hold(Step::kSelect);
  EXPECT_THAT(Call("GET", "/gate"), HasSubstr(R"({"quiet":true,"held":[{"actor":"R1","step":"select"}],)"
                                              R"("present":[{"actor":"R1","waits":false,"answered":false}]})"));
}

TEST_F(GateApiTest, LetsGoAndTellsWhenItIsQuietAgain) {
  Hold(Step::kGet);
  std::thread later([this] {
    EXPECT_TRUE(WaitUntil([this] {
      int went = 0;
      OnLoop([&] { went = went_; });
      return went == 1;
    }));
    Hold(Step::kSelect);
  });
  EXPECT_THAT(Call("POST", "/gate/go?actor=R1&wait_ms=10000"),
              HasSubstr(R"("quiet":true,"held":[{"actor":"R1","step":"select"}])"));
  later.join();
}

TEST_F(GateApiTest, WaitsNoLongerThanItIsTold) {
  Hold(Step::kGet);
  EXPECT_THAT(Call("POST", "/gate/go?actor=R1&wait_ms=20"),
              HasSubstr(R"("quiet":false,"held":[],"present":[{"actor":"R1")"));
}

TEST_F(GateApiTest, WhoDiesIsGone) {
  Hold(Step::kGet);
  OnLoop([this] { present_ = {}; });
  EXPECT_THAT(Call("POST", "/gate/die?actor=R1"), HasSubstr(R"("held":[],"present":[])"));
  EXPECT_EQ(went_, 0);
}

TEST_F(GateApiTest, RefusesWhatMakesNoSense) {
  EXPECT_THAT(Call("POST", "/gate/go?actor=R1"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Call("POST", "/gate/die?actor="), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Call("GET", "/gate?wait_ms=-1"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Call("GET", "/gate?wait_ms=soon"), StartsWith("HTTP/1.1 400 "));
}

}  // namespace
}  // namespace lab::cacheapi
