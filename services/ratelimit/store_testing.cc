#include "services/ratelimit/store_testing.h"

#include <boost/asio/steady_timer.hpp>
#include <utility>

namespace lab::ratelimit {

std::vector<TestAnswer> Answers(const Batch& batch) {
  std::vector<TestAnswer> answers;
  for (const Batch::Group& group : batch.groups) {
    std::vector<State> states(batch.states.begin() + group.first, batch.states.begin() + group.first + group.size);
    for (uint32_t n = 0; n < group.count; ++n) {
      TestAnswer& answer = answers.emplace_back();
      answer.terms.resize(group.size);
      answer.passed = DecideRequest({batch.terms.data() + group.first, group.size}, absl::MakeSpan(states), batch.now,
                                    absl::MakeSpan(answer.terms));
    }
  }
  return answers;
}

std::vector<TestAnswer> StoreUnderTest::Ask(UnixMicros now, const std::vector<TestTerm>& terms, uint32_t count) {
  Batch batch;
  batch.now = now;
  batch.AddGroup().count = count;
  for (const TestTerm& term : terms) batch.AddTerm(term.key, {&term.limit, term.hits, term.shadow});
  const absl::Status status = Run(batch);
  return status.ok() ? Answers(batch) : std::vector<TestAnswer>();
}

bool StoreUnderTest::Passes(UnixMicros now, const Limit& limit, uint64_t hits, const std::string& key) {
  const std::vector<TestAnswer> answers = Ask(now, {{key, limit, hits}});
  return answers.size() == 1 && answers[0].passed;
}

absl::Status MemoryUnderTest::Run(Batch& batch) {
  absl::Status status;
  store.Run(batch, [&](absl::Status result) { status = std::move(result); });
  return status;
}

RedisUnderTest::RedisUnderTest(redis::Options options) {
  options.port = server.port();
  client = std::make_unique<redis::Client>(loop, options, metrics);
  store = std::make_unique<RedisStore>(*client);
  TurnUntil([this] { return client->connected(); });
}

RedisUnderTest::~RedisUnderTest() {
  store.reset();
  client->Close();
}

bool RedisUnderTest::TurnUntil(const std::function<bool()>& done) {
  const auto end = Clock::now() + std::chrono::seconds(10);
  while (!done() && Clock::now() < end) {
    loop.Post([this] { loop.Stop(); });
    loop.Run();
  }
  return done();
}

absl::Status RedisUnderTest::Run(Batch& batch) {
  absl::Status status;
  bool answered = false;
  store->Run(batch, [&](absl::Status result) {
    status = std::move(result);
    answered = true;
  });
  TurnUntil([&] { return answered; });
  return answered ? status : absl::DeadlineExceededError("the store did not answer");
}

}  // namespace lab::ratelimit
