#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/explore/http_connection.h"

namespace lab::bench::explore {

// How the gate of one replica stands (services/cacheapi/edge/gate_api.h).
struct GateView {
  bool quiet = true;
  std::vector<std::pair<std::string, std::string>> held;  // actor and the step that it is held before
  struct Present {
    bool waits = false, answered = false;
  };
  std::map<std::string, Present> present;

  // "" when it is not held.
  std::string StepOf(const std::string& actor) const;
  // How often it is held before this step.
  size_t Count(const std::string& actor, const std::string& step) const;
};
// DATA_LOSS where this is not what a gate says.
absl::StatusOr<GateView> ParseGateView(const std::string& text);

// Drives that gate. Errors as of HttpConnection; NOT_FOUND when the actor is not held, or there is no gate.
class Gate {
 public:
  explicit Gate(int port) : connection_(port) {}
  // As soon as it is quiet, and after `wait` at the latest.
  absl::StatusOr<GateView> Look(Millis wait);
  absl::StatusOr<GateView> Go(const std::string& actor, Millis wait) { return Ask("POST", "/gate/go", actor, wait); }
  absl::StatusOr<GateView> Die(const std::string& actor, Millis wait) { return Ask("POST", "/gate/die", actor, wait); }
  // Feeds and pushes are held in what concerns this brand; "": in nothing.
  absl::Status Watch(const std::string& brand);
  // Once everything has been heard that Redis had told before.
  absl::StatusOr<GateView> Hear();

 private:
  absl::StatusOr<GateView> Ask(const char* method, const char* path, const std::string& actor, Millis wait);
  absl::StatusOr<std::string> Call(const char* method, const std::string& path, Millis wait);
  HttpConnection connection_;
};

}  // namespace lab::bench::explore
