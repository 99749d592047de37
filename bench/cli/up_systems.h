#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/cli/commands.h"
#include "bench/live/keeper_client.h"
#include "bench/report/summary.h"

// The systems that are kept up, for the commands that act on one of them.
namespace lab::bench::cli {

// The option that chooses one where several are up.
Option LabOption();

// The one that is meant: `lab`, or the only one. NOT_FOUND: it is not up, or none is, and how it ended; what to type
// then. INVALID_ARGUMENT: several are up and none was named, or an unknown name.
absl::StatusOr<live::KeeperRecord> FindUp(const Session& session, const std::string& lab);
// Its state document.
absl::StatusOr<nlohmann::json> ReadState(const live::KeeperClient& client);

// Says on standard error which systems are up while `what` ("run") is about to be measured.
void TellWhatIsUp(const std::string& root, const std::string& what);

double UnixNow();
std::string UrlOf(const live::KeeperRecord& record);
// "19:35", with the day where it is not today.
std::string ClockTime(double unix_s);
// "load ─▶ ratelimit ─▶ redis", a chain a line.
std::vector<std::string> TopologyLines(const nlohmann::json& state);
// What `status` shows of one system: rates, percentiles, parts, what is broken and for how long; a pure function of
// the state document and the time.
std::vector<std::string> StatusLines(const live::KeeperRecord& record, const nlohmann::json& state, double now_unix_s,
                                     const Ansi& ansi);
// A record of a fault as people read it: "redis.pause#1  seen after 21 ms: …; 3.2 s more".
std::string FaultLine(const nlohmann::json& fault, double now_s);

// "2x", "50%", "8000/s" → a multiple of what the lab offers by itself.
absl::StatusOr<double> ReadLoadFactor(const std::string& text, double offered_per_s);

}  // namespace lab::bench::cli
