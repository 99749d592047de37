#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <sstream>
#include <string>
#include <utility>

#include "services/runtime/async/loop.h"
#include "services/runtime/obs/metrics.h"

namespace lab::async {

inline constexpr Nanos kPatience = std::chrono::seconds(10);  // of a wait for something that must happen

// For tests of what lives on a loop: runs it until something has happened, and reads metrics.
class LoopTest : public ::testing::Test {
 protected:
  LoopTest() : tick_(loop_.io()) {
    loop_.AtTurnEnd(Loop::Phase::kReply, [this] {
      if (done_ && done_()) {
        done_ = nullptr;
        loop_.Stop();
      }
    });
  }

  // Runs the loop until `done`, which is asked at the end of each turn and at least each millisecond.
  bool RunUntil(std::function<bool()> done, Nanos patience = kPatience) {
    const auto give_up = Clock::now() + patience;
    bool reached = false;
    done_ = [&reached, done = std::move(done), give_up] {
      reached = done();
      return reached || Clock::now() > give_up;
    };
    Tick();
    loop_.Run();
    return reached;
  }
  void RunFor(Nanos time) {
    const auto end = Clock::now() + time;
    RunUntil([end] { return Clock::now() >= end; });
  }

  double Metric(const std::string& series) {
    std::istringstream lines(metrics_.Text());
    for (std::string line; std::getline(lines, line);) {
      if (line.rfind(series + " ", 0) == 0) return std::stod(line.substr(series.size() + 1));
    }
    ADD_FAILURE() << "no series " << series;
    return -1;
  }

  Loop loop_;
  obs::Metrics metrics_;

  void Tick() {
    tick_.expires_after(Millis(1));
    tick_.async_wait([this](const boost::system::error_code& error) {
      if (!error && done_) Tick();
    });
  }

  boost::asio::steady_timer tick_;
  std::function<bool()> done_;  // asked at the end of each turn while it is set
};

}  // namespace lab::async
