#include "bench/load/target.h"

#include "absl/status/status.h"
#include "bench/load/targets/cacheapi.h"
#include "bench/load/targets/ratelimit.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/text.h"

namespace lab::bench {

const std::vector<Target>& Targets() {
  static const std::vector<Target> targets = {RateLimitGrpcTarget(), RateLimitHttpTarget(), CacheApiGetTarget(),
                                              CacheApiPutTarget(), CacheApiMixedTarget()};
  return targets;
}

const Target* FindTarget(const std::string& name) {
  for (const Target& target : Targets()) {
    if (target.name == name) return &target;
  }
  return nullptr;
}

absl::StatusOr<BodyWriter> PrepareRequests(const Target& target, const RequestFields& fields) {
  RequestFields filled;
  std::vector<std::string> names;
  for (const RequestField& field : target.fields) {
    filled[field.name] = field.fallback;
    names.push_back(field.name);
  }
  for (const auto& [name, value] : fields) {
    if (!filled.contains(name)) {
      return absl::InvalidArgumentError(
          Concat(target.name, " has no request field \"", name, "\"", Suggestion(name, names)));
    }
    filled[name] = value;
  }
  return target.prepare(filled);
}

Mixture PrepareMixture(const Target& target, const RequestFields& fields) {
  if (target.mix == nullptr) return {};
  RequestFields filled = fields;
  for (const RequestField& field : target.fields) filled.emplace(field.name, field.fallback);
  return target.mix(filled);
}

std::map<std::string, std::vector<std::string>> TargetFields() {
  std::map<std::string, std::vector<std::string>> all;
  for (const Target& target : Targets()) {
    for (const RequestField& field : target.fields) all[target.name].push_back(field.name);
  }
  return all;
}

absl::StatusOr<EndpointSource> TargetEndpoint(const std::string& target) {
  const Target* found = FindTarget(target);
  if (found != nullptr) return EndpointSource{found->part, found->port};
  std::vector<std::string> names;
  for (const Target& each : Targets()) names.push_back(each.name);
  return absl::NotFoundError(Concat("unknown target \"", target, "\"", Suggestion(target, names)));
}

}  // namespace lab::bench
