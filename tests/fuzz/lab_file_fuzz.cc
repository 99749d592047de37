#include <cstddef>
#include <cstdint>
#include <string>

#include "bench/judge/judge.h"
#include "bench/labfile/lab.h"

namespace {

using lab::bench::Catalogue;

// As the catalogue of a checkout, without its programs: the parser asks only what it says.
Catalogue MakeCatalogue() {
  Catalogue catalogue;
  catalogue.knobs["redis"] = {{"maxmemory", "string", "0", "", "", {}}};
  catalogue.knobs["ratelimit"] = {{"redis.deadline", "duration", "5ms", "0s … 20ms", "", {}},
                                  {"rules.path", "string", "", "", "", {}},
                                  {"rules.on_store_failure", "one of", "allow", "", "", {"allow", "deny", "local"}},
                                  {"redis.max_outstanding", "int", "1024", "1 … 100000", "", {}},
                                  {"grpc.max_in_flight", "int", "4096", "1 … 100000", "", {}}};
  catalogue.faults = {{"redis.pause", {}}, {"redis.kill", {"data"}}, {"redis.flush", {"mode"}}};
  catalogue.targets = {{"ratelimit.grpc", {"domain", "key", "hits"}}, {"ratelimit.http", {"domain", "key", "hits"}}};
  catalogue.invariants = lab::bench::InvariantNames();
  catalogue.check_expression = lab::bench::CheckExpression;
  return catalogue;
}

}  // namespace

// Lab files are what learners write. Each is a lab that can be laid out in time, or messages that name the file.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Catalogue* const catalogue = new Catalogue(MakeCatalogue());
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto lab = lab::bench::ParseLab(text, "labs/rate-limit-outage/lab.yaml", *catalogue);
  if (!lab.ok()) {
    if (lab.status().message().find("lab.yaml") == absl::string_view::npos) __builtin_trap();
    return 0;
  }
  for (const bool quick : {false, true}) {
    lab::bench::PhasesOf(*lab, quick);
    lab::bench::FaultsOf(*lab, quick, 1);
  }
  return 0;
}
