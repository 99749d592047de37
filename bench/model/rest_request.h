#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace lab::bench {

// What is asked of a kind of part that keeps copies, once nobody writes any more; AtRest is the answer.
struct RestRequest {
  using Ports = std::map<std::string, int>;                // name → loopback port
  std::vector<std::pair<std::string, Ports>> replicas;     // name → ports
  std::map<std::string, Ports> others;                     // kind → ports of the first part of that kind
  std::vector<std::map<std::string, std::string>> fields;  // of the requests that the loads sent, each once
  // Keys of the load that it wrote, acknowledged or not → the version that each must have by now at least.
  std::map<uint32_t, uint64_t> written;
  std::function<bool()> interrupted;                  // may be null
  std::function<void(const std::string& text)> tell;  // how far it is, once in a while; may be null
};

}  // namespace lab::bench
