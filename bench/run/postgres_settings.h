#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/labfile/lab.h"

namespace lab::bench {

// The settings of PostgreSQL that a lab may change, under PostgreSQL's own names; sizes and durations as lab files
// write them.
std::vector<Catalogue::Knob> PostgresSettings();

// The same as arguments of `postgres`: "-c", "work_mem=4096kB", … Those that the lab sets, and those for which a value
// of ours takes the place of PostgreSQL's or of what initdb made of this host. Names that are no settings are passed
// over.
absl::StatusOr<std::vector<std::string>> PostgresArguments(const std::map<std::string, std::string>& set);

}  // namespace lab::bench
