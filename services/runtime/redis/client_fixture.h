#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "services/runtime/async/loop_fixture.h"
#include "services/runtime/redis/client.h"
#include "services/runtime/redis/test_server.h"

namespace lab::redis {

// A client, a loop and a real server for the tests of this folder.
class ClientTest : public async::LoopTest {
 protected:
  ~ClientTest() override {
    if (client_) client_->Close();
    RunFor(Millis(1));  // what was posted
  }

  TestServer& StartServer(std::vector<std::string> arguments = {}) { return server_.emplace(std::move(arguments)); }

  static Options Defaults() {
    Options options;
    options.deadline = Millis(1000);  // a loaded test machine is not what these tests are about
    return options;
  }

  Client& MakeClient(Options options) {
    options.port = server_ ? server_->port() : options.port;
    return client_.emplace(loop_, std::move(options), metrics_);
  }

  Client& Connected(Options options = Defaults()) {
    Client& client = MakeClient(std::move(options));
    EXPECT_TRUE(RunUntil([&] { return client.connected(); }));
    return client;
  }

  // Issues a command; its outcome is counted by status code, and the text of its reply or status kept.
  void Issue(std::vector<std::string_view> arguments) {
    ++issued_;
    client_->Command(arguments, Record());
  }
  void IssueEval(const Script& script, std::string_view key, std::string_view argument) {
    ++issued_;
    const std::string_view keys[] = {key};
    const std::string_view arguments[] = {argument};
    client_->Eval(script, keys, arguments, Record());
  }
  Client::Callback Record() {
    return [this, called = false](absl::StatusOr<Reply> reply) mutable {
      EXPECT_FALSE(called) << "a second callback";
      called = true;
      ++ended_;
      ++outcomes_[reply.status().code()];
      last_status_ = reply.status();
      texts_.push_back(!reply.ok()             ? std::string(reply.status().message())
                       : reply->integer() != 0 ? std::to_string(reply->integer())
                                               : std::string(reply->text()));
    };
  }
  bool AllEnded() {
    return RunUntil([this] { return ended_ == issued_; });
  }
  absl::StatusCode Outcome(std::vector<std::string_view> arguments) {
    Issue(std::move(arguments));
    EXPECT_TRUE(AllEnded());
    return last_status_.code();
  }
  int Ended(absl::StatusCode code) { return outcomes_[code]; }

  std::optional<TestServer> server_;
  std::optional<Client> client_;
  int issued_ = 0;
  int ended_ = 0;
  std::map<absl::StatusCode, int> outcomes_;
  absl::Status last_status_;
  std::vector<std::string> texts_;
};

}  // namespace lab::redis
