#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace lab::proxy {

// The part of the API that faults use, blocking; every call is bounded by half a second. Errors: as of HttpCall, and
// FAILED_PRECONDITION with the API's text for what it refuses.
class Client {
 public:
  explicit Client(int port) : port_(port) {}

  bool Answers() const;
  absl::StatusOr<std::vector<std::string>> Proxies() const;
  // `toxic` as the API reads it: {"type": …}.
  absl::Status AddToxic(const std::string& proxy, const std::string& toxic) const;
  // OK when there is none of that name.
  absl::Status RemoveToxic(const std::string& proxy, const std::string& name) const;
  absl::Status Enable(const std::string& proxy, bool enabled) const;

 private:
  absl::StatusOr<std::string> Ask(const std::string& method, const std::string& path, const std::string& body,
                                  int also_fine = 0) const;
  const int port_;
};

}  // namespace lab::proxy
