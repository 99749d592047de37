#include "bench/live/keeper_client.h"

#include <csignal>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "bench/observe/http_get.h"
#include "bench/observe/process_figures.h"
#include "services/runtime/base/text.h"

namespace lab::bench::live {
namespace {

constexpr Millis kPoll{20};
constexpr size_t kMaxBytes = 32 << 20;

absl::Status ErrorOf(const HttpAnswer& answer) {
  const nlohmann::json problem = nlohmann::json::parse(answer.body, nullptr, false);
  std::string text = Concat("it answered ", answer.status);
  if (problem.is_object()) text = problem.value("detail", problem.value("title", text));
  switch (answer.status) {
    case 400:
    case 422:
      return absl::InvalidArgumentError(text);
    case 404:
      return absl::NotFoundError(text);
    case 429:
      return absl::ResourceExhaustedError(text);
    default:
      return absl::UnavailableError(text);
  }
}

bool Within(Nanos time, const std::function<bool()>& condition) {
  const Clock::time_point end = Clock::now() + time;
  while (!condition()) {
    if (Clock::now() > end) return false;
    std::this_thread::sleep_for(kPoll);
  }
  return true;
}

// One that is stopped takes no signal before it goes on.
bool EndBySignals(pid_t pid, Nanos patience, const std::function<bool()>& ended) {
  if (ended()) return true;
  kill(pid, SIGTERM);
  kill(pid, SIGCONT);
  if (Within(patience, ended)) return true;
  if (!ended()) kill(pid, SIGKILL);
  Within(std::chrono::seconds(5), ended);
  return false;
}

}  // namespace

absl::StatusOr<std::string> KeeperClient::State() const { return Call("GET", "/api/state", ""); }

absl::StatusOr<std::string> KeeperClient::Post(const std::string& command, const std::string& body) const {
  return Call("POST", "/api/" + command, body);
}

absl::StatusOr<std::string> KeeperClient::Call(const std::string& method, const std::string& path,
                                               const std::string& body) const {
  HttpRequest request{method, path, body, {{"X-Lab-Token", record_.token}}};
  if (method == "POST") request.headers.emplace_back("Content-Type", "application/json");
  const absl::StatusOr<HttpAnswer> answer = HttpCall("127.0.0.1", record_.port, request, timeout_, kMaxBytes);
  if (!answer.ok()) {
    const auto process = ReadProcess(record_.pid);
    return absl::Status(
        answer.status().code(),
        Concat("the keeper of ", record_.lab, " (process ", record_.pid, ") does not answer",
               process && process->state == 'T' ? ": it is stopped" : "", "; ./lab down ", record_.lab, " ends it"));
  }
  if (answer->status != 200) return ErrorOf(*answer);
  return answer->body;
}

bool TakeDown(const KeeperRecord& record, Nanos patience) {
  const auto ended = [&record] { return !Runs(record); };
  if (ended()) return true;
  const KeeperClient client(record, std::chrono::seconds(2));
  // It may be gone before its answer is; only who says nothing at all needs a signal at once.
  const absl::Status asked = client.Post("down", "{}").status();
  if (!absl::IsDeadlineExceeded(asked) && Within(patience, ended)) return true;
  return EndBySignals(record.pid, patience, ended);
}

bool TakeDownProcess(pid_t pid, Nanos patience) {
  const auto before = ReadProcess(pid);
  return EndBySignals(pid, patience, [&] {
    const auto now = ReadProcess(pid);
    return !now || !before || now->start_ticks != before->start_ticks || now->state == 'Z';
  });
}

}  // namespace lab::bench::live
